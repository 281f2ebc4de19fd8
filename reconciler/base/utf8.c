#include "reconciler/base/utf8.h"

size_t
utf8_decode(const char *s, size_t n, uint32_t *ret_c)
{
	const unsigned char *u = (const unsigned char *)s;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

	if (n == 0)
		return 0;
	if (u[0] < 0x80) {
		*ret_c = u[0];
		return 1;
	}

	size_t len = u[0] >= 0xf0 ? 4 : u[0] >= 0xe0 ? 3 : 2;
	if (u[0] < 0xc2 || u[0] > 0xf4 || n < len)
		return 0;

	uint32_t c = u[0] & (0xff >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (u[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret_c = c;
	return len;
}
