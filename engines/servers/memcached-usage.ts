/**
 * What `-h` and `-i` print: the flags of memcached 1.6.18 and what this server makes of them. Scripts look in here for what was built in (the original's
 * own tests for `ext_path`, `enable-ssl` and `proxy_config`), so what is not there is not called by those names.
 */
import { VERSION } from '../memcached/version.ts';

/** `-V`. */
export const VERSION_TEXT = `memcached ${VERSION}\n`;

/** `-i`. */
export const LICENSE_TEXT = `memcached ${VERSION}

This is cachelab's own server: it behaves as memcached ${VERSION} does and shares no code with it or with libevent.
It is licensed under the MIT license; see the file LICENSE or package.json that came with cachelab.
`;

/** `-h`. */
export const HELP_TEXT = `memcached ${VERSION}
-p, --port=<num>          TCP port (default: 11211; 0: none; -1: one that is free)
-U, --udp-port=<num>      UDP port (default: 0, none)
-s, --unix-socket=<file>  listen on a UNIX socket, not on the network
-a, --unix-mask=<mask>    permissions of the UNIX socket, octal (default: 700)
-A, --enable-shutdown     allow the ascii command "shutdown"
-l, --listen=<addr>       address to listen on, several with commas or -l again,
                          each with a :port if it has its own (default here: 127.0.0.1)
-d, --daemon              run in the background
-r, --enable-coredumps    accepted, no effect here
-u, --user=<user>         become this user (only when started by root)
-m, --memory-limit=<num>  megabytes for items (default: 64)
-M, --disable-evictions   out of memory is an error; nothing is evicted
-c, --conn-limit=<num>    most connections at a time (default: 1024)
-k, --lock-memory         accepted, no effect here
-v, --verbose             print errors and warnings
-vv                       print commands and replies as well
-vvv                      print what happens inside as well
-h, --help                print this and exit
-i, --license             print the license and exit
-V, --version             print the version and exit
-P, --pidfile=<file>      write the process id to this file
-f, --slab-growth-factor=<num> from slab class to slab class (default: 1.25)
-n, --slab-min-size=<bytes> least room for key, value and flags (default: 48)
-L, --enable-largepages   give every slab class its first page at once
-D <char>                 the character that ends a key's prefix in "stats detail"
                          (default: ":"); counting is on from the start if given
-t, --threads=<num>       worker threads (default: 4)
-R, --max-reqs-per-event  requests of a connection before others have their turn
                          (default: 20)
-C, --disable-cas         items without CAS ids
-b, --listen-backlog=<num> connections that may wait for accept (default: 1024)
-B, --protocol=<name>     ascii, binary or auto (default: auto-negotiate)
-I, --max-item-size=<num> largest item (default: 1m, min: 1k, max: 1024m)
-S, --enable-sasl         SASL authentication, binary protocol only
-F, --disable-flush-all   refuse flush_all
-X, --disable-dumping     refuse stats cachedump and lru_crawler metadump
-W  --disable-watch       refuse watch
-Y, --auth-file=<file>    authentication of ascii clients; lines of user:pass
-e, --memory-file=<file>  keep items in a file, best in memory (tmpfs); what a stop
                          with SIGUSR1 leaves there is found by the next start
-Z                        TLS: not there
-o, --extended            options with names, joined by commas
   - (no_)maxconns_fast:  refuse connections beyond -c at once (default: on)
   - hashpower:           buckets of the hash table at the start, as a power of two
   - no_hashexpand:       the hash table does not grow
   - hash_algorithm:      jenkins, murmur3 or xxh3 (default: murmur3)
   - tail_repair_time:    seconds after which a busy item at an LRU's end is taken
                          (default: off; dangerous)
   - (no_)slab_reassign:  pages may move between slab classes (default: on)
   - (no_)slab_automove:  0, 1 or 2: who decides about that (default: 1)
   - slab_automove_ratio, slab_automove_window, slab_automove_freeratio
                          (default: 0.8, 30, 0.01)
   - slab_chunk_max:      bytes; larger items are joined of chunks (default: 524288)
   - slab_sizes:          sizes of the slab classes, joined by "-"
   - track_sizes:         count items by size from the start
   - (no_)lru_crawler:    look for expired items in the background (default: on)
   - lru_crawler_sleep:   microseconds between its steps (default: 100)
   - lru_crawler_tocrawl: items per class and run (default: 0, all)
   - (no_)lru_maintainer: HOT, WARM and COLD LRUs and who keeps them (default: on)
   - hot_lru_pct, warm_lru_pct
                          per cent of a class's memory (default: 20, 40)
   - hot_max_factor, warm_max_factor
                          of COLD's age, after which items move (default: 0.2, 2)
   - temporary_ttl:       items that live no longer have an LRU of their own
                          (default: off, 61 if given without need)
   - idle_timeout:        seconds until an idle client is let go (default: 0, never)
   - watcher_logbuf_size, worker_logbuf_size
                          kilobytes for watchers' lines (default: 256, 64; as in
                          1.6.18 the latter's number is taken for slab_sizes too)
   - read_buf_mem_limit:  accepted, no effect: a connection's buffers have bounds of their own
   - modern:              no effect
   - no_modern:           the defaults of 1.4
   - ext_*, ssl_*:        checked and shown; external storage and TLS (-Z)
                          are not there
-N, --napi_ids            accepted, no effect here
    --event-loop=<name>   cachelab's own: epoll, libuv or auto (default)
    --verify-on-exit      cachelab's own: check all of memory when the server stops,
                          and end with 1 if anything contradicts
`;
