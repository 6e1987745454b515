/* SPDX-License-Identifier: Apache-2.0 */
/* What is used of crypt(3), for cffi. "..." is filled in by the C compiler. */

struct crypt_data {
	...;
};

char *crypt_r(const char *phrase, const char *setting, struct crypt_data *data);
