/* An independent Modbus server on libmodbus, for tests.
 *
 *     libmodbus-server tcp PORT
 *     libmodbus-server rtu PATH UNIT
 *
 * Says "ready" and its port (0: any) on standard output. Holding register n of unit u holds n * 31 + u * 1009 + 7, input
 * register n holds n * 17 + u * 2003 + 40000, coil n is set where (n * 7 + u) % 3 == 0, discrete input n where
 * (n * 5 + u) % 4 == 0. Over TCP it is unit 1, whatever is asked. Offsets 0 to 1999 exist.
 */
#include <errno.h>
#include <modbus.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIZE 2000

static modbus_mapping_t *hold(int unit)
{
    modbus_mapping_t *map = modbus_mapping_new(SIZE, SIZE, SIZE, SIZE);
    if (map == NULL)
        exit(3);
    for (int n = 0; n < SIZE; n++) {
        map->tab_registers[n] = (uint16_t)(n * 31 + unit * 1009 + 7);
        map->tab_input_registers[n] = (uint16_t)(n * 17 + unit * 2003 + 40000);
        map->tab_bits[n] = (n * 7 + unit) % 3 == 0;
        map->tab_input_bits[n] = (n * 5 + unit) % 4 == 0;
    }
    return map;
}

static int fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, modbus_strerror(errno));
    return 1;
}

static int serve_tcp(int port)
{
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    modbus_mapping_t *map = hold(1);
    modbus_t *context = modbus_new_tcp("127.0.0.1", port);
    int listener = context == NULL ? -1 : modbus_tcp_listen(context, 8);
    if (listener < 0)
        return fail("listen");
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("ready %d\n", ntohs(address.sin_port));
    fflush(stdout);

    fd_set open;
    FD_ZERO(&open);
    FD_SET(listener, &open);
    int highest = listener;
    for (;;) {
        fd_set readable = open;
        if (select(highest + 1, &readable, NULL, NULL, NULL) < 0)
            return fail("select");
        for (int one = 0; one <= highest; one++) {
            if (!FD_ISSET(one, &readable))
                continue;
            if (one == listener) {
                int peer = accept(listener, NULL, NULL);
                if (peer >= 0) {
                    FD_SET(peer, &open);
                    highest = peer > highest ? peer : highest;
                }
                continue;
            }
            modbus_set_socket(context, one);
            int received = modbus_receive(context, query);
            if (received > 0)
                modbus_reply(context, query, received, map);
            else if (received < 0) {
                close(one);
                FD_CLR(one, &open);
            }
        }
    }
}

static int serve_rtu(const char *path, int unit)
{
    uint8_t query[MODBUS_RTU_MAX_ADU_LENGTH];
    modbus_mapping_t *map = hold(unit);
    modbus_t *context = modbus_new_rtu(path, 9600, 'N', 8, 1);
    if (context == NULL || modbus_set_slave(context, unit) < 0 || modbus_connect(context) < 0)
        return fail(path);
    printf("ready 0\n");
    fflush(stdout);
    for (;;) {
        int received = modbus_receive(context, query);
        if (received > 0)
            modbus_reply(context, query, received, map);
        else if (received < 0 && errno == EIO)
            return 0; /* the line is gone */
    }
}

int main(int count, char **argument)
{
    if (count == 3 && strcmp(argument[1], "tcp") == 0)
        return serve_tcp(atoi(argument[2]));
    if (count == 4 && strcmp(argument[1], "rtu") == 0)
        return serve_rtu(argument[2], atoi(argument[3]));
    fprintf(stderr, "tcp PORT | rtu PATH UNIT\n");
    return 2;
}
