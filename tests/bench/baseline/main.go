// Serves one document from memory, as plainly as Go's net/http does it: what Waymark's polls are
// compared with.
//
//	baseline ADDRESS DOCUMENT DOCUMENT.gz
package main

import (
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
)

func read(path string) []byte {
	bytes, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	return bytes
}

func main() {
	plain, packed := read(os.Args[2]), read(os.Args[3])
	http.HandleFunc("/traefik", func(w http.ResponseWriter, r *http.Request) {
		body := plain
		header := w.Header()
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			body = packed
			header.Set("Content-Encoding", "gzip")
		}
		header.Set("Content-Type", "application/json")
		header.Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body)
	})
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
