/* A stand-in for the SSM Agent, one program under all its names: the core starts a worker, the
 * worker keeps a connection to the peer that /run/standin/peer names ("192.0.2.1 443"). It ends
 * with its core unless /run/standin/leave exists, and is not started if /run/standin/alone does. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORKER "/usr/bin/ssm-agent-worker"

static void stay_connected(void) {
    char ip[64];
    unsigned port;
    for (;; sleep(1)) {
        FILE *file = fopen("/run/standin/peer", "r");
        if (!file)
            continue;
        int read = fscanf(file, "%63s %u", ip, &port);
        fclose(file);
        struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
        if (read != 2 || inet_pton(AF_INET, ip, &peer.sin_addr) != 1)
            continue;
        int connection = socket(AF_INET, SOCK_STREAM, 0);
        char byte;
        if (connect(connection, (struct sockaddr *)&peer, sizeof peer) == 0)
            while (recv(connection, &byte, 1, 0) > 0)
                ;
        close(connection);
    }
}

int main(int count, char **arguments) {
    const char *slash = strrchr(arguments[0], '/');
    const char *name = slash ? slash + 1 : arguments[0];
    (void)count;
    if (strcmp(name, "amazon-ssm-agent") == 0 && access("/run/standin/alone", F_OK) != 0 && fork() == 0) {
        execl(WORKER, WORKER, (char *)NULL);
        _exit(1);
    }
    if (strcmp(name, "ssm-agent-worker") == 0) {
        if (access("/run/standin/leave", F_OK) != 0)
            prctl(PR_SET_PDEATHSIG, SIGKILL);
        stay_connected();
    }
    for (;;)
        pause();
}
