/* resolve prints the addresses that the C library finds for a name, or the name for an address, a line each.
 * It ends with 2 if there is none, and with 1 and a message if that could not be found out. */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all, *a;
	char text[1025];
	int err;

	if (argc != 3) {
		fprintf(stderr, "usage: resolve any|4|6|name WHAT\n");
		return 1;
	}
	int reverse = strcmp(argv[1], "name") == 0;
	if (reverse)
		hints.ai_flags = AI_NUMERICHOST;
	else if (strcmp(argv[1], "4") == 0)
		hints.ai_family = AF_INET;
	else if (strcmp(argv[1], "6") == 0)
		hints.ai_family = AF_INET6;
	err = getaddrinfo(argv[2], NULL, &hints, &all);
	if (err == EAI_NONAME || err == EAI_NODATA)
		return 2;
	for (a = all; err == 0 && a != NULL; a = a->ai_next) {
		err = getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, reverse ? NI_NAMEREQD : NI_NUMERICHOST);
		if (err == EAI_NONAME)
			return 2;
		if (err == 0)
			puts(text);
	}
	if (err != 0) {
		fprintf(stderr, "%s\n", gai_strerror(err));
		return 1;
	}
	return 0;
}
