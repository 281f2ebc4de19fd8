/* Runs a fuzz target over every file of the folders named: no fuzzer needed. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static int
replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	if (!f || fstat(fileno(f), &st) < 0) {
		perror(path);
		return -1;
	}
	size_t n = (size_t)st.st_size;
	/* Exactly as large as the input, so that reading past it is seen. */
	uint8_t *data = malloc(n ? n : 1);
	size_t got = fread(data, 1, n, f);
	fclose(f);
	LLVMFuzzerTestOneInput(data, got);
	free(data);
	return 0;
}

static int
replay_folder(const char *folder)
{
	DIR *d = opendir(folder);
	int files = 0;
	if (!d)
		return 0; /* no crash was ever found */
	for (struct dirent *e; (e = readdir(d));) {
		char path[4096];
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		if (replay_file(path) < 0)
			exit(1);
		files++;
	}
	closedir(d);
	return files;
}

int
main(int argc, char **argv)
{
	int files = 0;
	for (int i = 1; i < argc; i++)
		files += replay_folder(argv[i]);
	printf("%s: %d inputs\n", argv[0], files);
	return files ? 0 : 1;
}
