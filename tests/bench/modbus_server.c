/* Modbus devices for benchmarks, on libmodbus: so cheap that a machine of two cores can hold five hundred of them.
 *
 *     modbus-server COUNT [STILL]
 *
 * Says "ready EPOCH PORT..." on standard output: that many devices on ports of their own, which answer to every unit.
 * Every pair of holding registers is one float32, most significant word first: milliseconds since EPOCH, divided by 8.
 * So each reading is fresh, and tells how old it is. With STILL a register stands still for so many seconds, and each
 * second one of so many changes: how often it has.
 */
#include <modbus.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REGISTERS 65536
#define PEERS 4096

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

static int fail(const char *what)
{
    perror(what);
    return 1;
}

static int listener_on_any_port(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 64) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        return -1;
    *port = ntohs(address.sin_port);
    return listener;
}

static void fill(modbus_mapping_t *map, const uint8_t *request, int64_t epoch, int still)
{
    int64_t ms = now() - epoch;
    int first = request[8] << 8 | request[9], count = request[10] << 8 | request[11];
    for (int at = first; at < first + count && at < REGISTERS; at++) {
        float value = still ? (float)((ms / 1000 + at / 2) / still) : (float)ms / 8;
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        map->tab_registers[at] = (uint16_t)(at % 2 ? bits : bits >> 16);
    }
}

int main(int count, char **argument)
{
    static char listens[PEERS];
    int devices = count > 1 ? atoi(argument[1]) : 0, still = count > 2 ? atoi(argument[2]) : 0;
    modbus_t *context = modbus_new_tcp("127.0.0.1", 0);
    modbus_mapping_t *map = modbus_mapping_new(0, 0, REGISTERS, 0);
    int poll = epoll_create1(0);
    int64_t epoch = now();
    if (devices < 1 || still < 0 || devices > PEERS / 4 || context == NULL || map == NULL || poll < 0)
        return fail("modbus-server COUNT [STILL]");
    printf("ready %lld", (long long)epoch);
    for (int device = 0; device < devices; device++) {
        uint16_t port;
        int listener = listener_on_any_port(&port);
        if (listener < 0 || listener >= PEERS)
            return fail("listen");
        listens[listener] = 1;
        struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
        epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
        printf(" %d", port);
    }
    printf("\n");
    fflush(stdout);
    for (;;) {
        struct epoll_event events[64];
        int ready = epoll_wait(poll, events, 64, -1);
        for (int one = 0; one < ready; one++) {
            int peer = events[one].data.fd;
            if (listens[peer]) {
                struct epoll_event event = {.events = EPOLLIN, .data.fd = accept(peer, NULL, NULL)};
                if (event.data.fd >= 0)
                    epoll_ctl(poll, EPOLL_CTL_ADD, event.data.fd, &event);
                continue;
            }
            uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH];
            modbus_set_socket(context, peer);
            int received = modbus_receive(context, request);
            if (received < 0)
                close(peer); /* epoll forgets it with that */
            else if (received >= 12) {
                fill(map, request, epoch, still);
                modbus_reply(context, request, received, map);
            }
        }
    }
}
