/** Random command lines of memcached that never start a server: they end with -V, or with a port that is refused once all else is checked. */
import type { Random } from '../../engines/ports.ts';

const SHORT_PLAIN = ['A', 'M', 'k', 'r', 'v', 'd', 'L', 'C', 'F', 'X', 'W'];
const SHORT_WITH_VALUE = ['a', 's', 'U', 'm', 'c', 'P', 'f', 'n', 't', 'D', 'R', 'b', 'B', 'I', 'o', 'N', 'l', 'e'];
const UNKNOWN = ['Q', 'x', '1', '?', ':', 'W', '='];
const LONG = [
  ...[
    'unix-mask',
    'enable-shutdown',
    'port',
    'unix-socket',
    'udp-port',
    'memory-limit',
    'disable-evictions',
    'conn-limit',
  ],
  ...[
    'lock-memory',
    'enable-coredumps',
    'verbose',
    'listen',
    'user',
    'pidfile',
    'slab-growth-factor',
    'slab-min-size',
    'threads',
  ],
  ...[
    'enable-largepages',
    'max-reqs-per-event',
    'disable-cas',
    'listen-backlog',
    'protocol',
    'max-item-size',
    'disable-flush-all',
  ],
  ...['disable-dumping', 'disable-watch', 'memory-file', 'extended', 'napi-ids', 'version', 'nonsense'],
];
const VALUES = [
  '0',
  '1',
  '2',
  '5',
  '30',
  '1024',
  '65536',
  '-1',
  '-5',
  'x',
  '',
  '1m',
  '512k',
  '2M',
  '0.5',
  '1.25',
  '1e3',
  ' 7',
  '+3',
  '5x',
  'auto',
  'ascii',
];
const SUBOPTIONS = [
  ...[
    'maxconns_fast',
    'no_maxconns_fast',
    'hashpower',
    'no_hashexpand',
    'slab_reassign',
    'no_slab_reassign',
    'slab_automove',
  ],
  ...['no_slab_automove', 'slab_automove_ratio', 'slab_automove_window', 'slab_automove_freeratio', 'tail_repair_time'],
  ...['hash_algorithm', 'lru_crawler', 'no_lru_crawler', 'lru_crawler_sleep', 'lru_crawler_tocrawl', 'lru_maintainer'],
  ...[
    'no_lru_maintainer',
    'hot_lru_pct',
    'warm_lru_pct',
    'hot_max_factor',
    'warm_max_factor',
    'temporary_ttl',
    'idle_timeout',
  ],
  ...[
    'watcher_logbuf_size',
    'worker_logbuf_size',
    'slab_sizes',
    'slab_chunk_max',
    'track_sizes',
    'inline_ascii_resp',
    'modern',
  ],
  ...[
    'no_modern',
    'no_chunked_items',
    'drop_privileges',
    'no_drop_privileges',
    'resp_obj_mem_limit',
    'read_buf_mem_limit',
  ],
  ...[
    'ssl_verify_mode',
    'ssl_keyformat',
    'ssl_wbuf_size',
    'ssl_min_version',
    'ext_item_size',
    'ext_item_age',
    'ext_max_frag',
    'nonsense',
  ],
];
const SUBOPTION_VALUES = [
  '0',
  '1',
  '2',
  '3',
  '13',
  '16',
  '20',
  '60',
  '100',
  '1024',
  '16384',
  '524288',
  '-1',
  'x',
  '',
  '0.5',
  '1.5',
  '5x',
  '100-200',
  'jenkins',
  'xxh3',
];

export class CommandLineMaker {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.nextBelow(from.length)]!;
  }

  #chance(oneIn: number): boolean {
    return this.#random.nextBelow(oneIn) === 0;
  }

  next(): string[] {
    const args: string[] = [];
    for (let i = this.#random.nextBelow(4); i >= 0; i--) args.push(...this.#option());
    return [...args, ...(this.#chance(2) ? ['-V'] : ['-p', '99999'])];
  }

  #option(): string[] {
    const dice = this.#random.nextBelow(20);
    if (dice < 7) return ['-o', this.#suboptions()];
    if (dice < 12) {
      const value = [this.#pick(VALUES)];
      return this.#chance(3)
        ? [`-${this.#pick(SHORT_WITH_VALUE)}${value[0] || '1'}`]
        : [`-${this.#pick(SHORT_WITH_VALUE)}`, ...value];
    }
    if (dice < 14)
      return [`-${this.#pick(SHORT_PLAIN)}${this.#pick(SHORT_PLAIN)}${this.#chance(20) ? this.#pick(UNKNOWN) : ''}`];
    if (dice < 15) return [this.#pick(['word', '-', 'c'])];
    const name = this.#pick(LONG);
    const cut = this.#chance(3) ? name.slice(0, 1 + this.#random.nextBelow(name.length)) : name;
    return this.#chance(2) ? [`--${cut}=${this.#pick(VALUES)}`] : [`--${cut}`, this.#pick(VALUES)];
  }

  #suboptions(): string {
    const parts = Array.from({ length: 1 + this.#random.nextBelow(3) }, () => {
      const name = this.#pick(SUBOPTIONS);
      if (name === 'slab_sizes') return 'slab_sizes=100-200';
      // Without a sound value the original goes on and dies.
      if (name === 'slab_chunk_max') return 'slab_chunk_max=16384';
      return this.#chance(4) ? name : `${name}=${this.#pick(SUBOPTION_VALUES)}`;
    });
    return parts.join(',');
  }
}
