/** Random commands for memcached, the same for every seed: what the differential and fuzz tests send. */

import * as B from '../../engines/memcached/protocol/binary.ts';
import {
  binaryArithmetic,
  binaryBare,
  binaryConcat,
  binaryGet,
  binaryStore,
  binaryTouch,
} from '../../engines/memcached/protocol/encode.ts';
import type { Random } from '../../engines/ports.ts';

/** Sizes on both sides of what decides: line ends, classes, copying against lending, chunking, the item limit. */
const SIZES = [0, 1, 2, 5, 19, 20, 40, 100, 130, 500, 1_000, 2_000, 5_000, 16_000, 20_000, 100_000];
const BIG_SIZES = [400_000, 524_000, 524_300, 700_000, 1_000_000, 1_048_000, 1_048_576, 1_100_000];
/**
 * No value of 2^63 and more that incr might meet: there the original looks for a minus sign beyond the value's end, in
 * whatever an earlier item has left in the chunk. (2^64 as such is refused before it looks.)
 */
const NUMBERS = [
  '0',
  '1',
  '9',
  '10',
  '99999',
  '1000000000000000',
  '18446744073709551616',
  '-1',
  '+7',
  ' 12',
  '12 ',
  '3x',
];

export class CommandMaker {
  readonly #random: Random;
  readonly #keys: number;
  readonly #large: boolean;
  /** CAS ids that a reply has shown; the test adds to it. */
  readonly seenCas: string[] = [];

  /** @param large whether many values are so large that some ten of them fill a slab page */
  constructor(random: Random, keys: number, large = false) {
    this.#random = random;
    this.#keys = keys;
    this.#large = large;
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.nextBelow(from.length)]!;
  }

  #chance(oneIn: number): boolean {
    return this.#random.nextBelow(oneIn) === 0;
  }

  key(): string {
    const n = this.#random.nextBelow(this.#keys);
    // A few keys are as long as a key may be.
    return n % 37 === 5 ? `k${n}`.padEnd(250, 'x') : `key:${n}`;
  }

  value(): string {
    if (this.#chance(3)) return this.#pick(NUMBERS);
    if (this.#chance(4)) return String(this.#random.nextBelow(1_000_000));
    if (this.#large && this.#chance(2)) return this.#fill(2_000 + this.#random.nextBelow(60_000));
    const size = this.#chance(200)
      ? this.#pick(BIG_SIZES)
      : this.#chance(20)
        ? this.#pick(SIZES)
        : this.#random.nextBelow(300);
    return this.#fill(size);
  }

  #fill(size: number): string {
    return String.fromCharCode(97 + this.#random.nextBelow(26)).repeat(size);
  }

  #exptime(): string {
    return this.#chance(15)
      ? this.#pick(['-1', '-100', '1500000000', '4000000000'])
      : this.#pick(['0', '0', '0', '100000', '2591999', '2000000000']);
  }

  #noreply(): string {
    return this.#chance(12) ? ' noreply' : '';
  }

  #flags(value: string): string {
    // A refused header leaves the data to be read as a line, and whether a long line is accepted depends on how it was sliced.
    if (value.length > 1_000) return '7';
    return this.#chance(2) ? '0' : this.#pick(['1', '4294967295', '123456', '4294967296', '-1', 'x']);
  }

  cas(): string {
    return this.seenCas.length > 0 && !this.#chance(4)
      ? this.#pick(this.seenCas)
      : String(this.#random.nextBelow(5000));
  }

  /** One ASCII command with whatever belongs to it. */
  ascii(): string {
    const key = this.key();
    const kind = this.#random.nextBelow(100);
    if (kind < 30) return `get ${key}\r\n`;
    if (kind < 35)
      return `${this.#pick(['get', 'gets', 'gat 0', 'gats 100'])} ${Array.from({ length: 1 + this.#random.nextBelow(40) }, () => this.key()).join(' ')}\r\n`;
    if (kind < 42) return `gets ${key}\r\n`;
    if (kind < 57) return this.#storing('set', key);
    if (kind < 70) return this.#storing(this.#pick(['add', 'replace', 'append', 'prepend']), key);
    if (kind < 75) {
      const value = this.value();
      return `cas ${key} ${this.#flags(value)} ${this.#exptime()} ${value.length} ${this.cas()}${this.#noreply()}\r\n${value}\r\n`;
    }
    if (kind < 85)
      return `${this.#pick(['incr', 'decr'])} ${key} ${this.#pick([...NUMBERS.map((n) => n.trim()), '5', '7', '100'])}${this.#noreply()}\r\n`;
    if (kind < 90)
      return `delete ${key}${this.#chance(5) ? this.#pick([' 0', ' 1', ' 0 noreply', ' x']) : this.#noreply()}\r\n`;
    if (kind < 94) return `touch ${key} ${this.#exptime()}${this.#noreply()}\r\n`;
    if (kind < 95) return `gat ${this.#exptime()} ${key}\r\n`;
    return this.#odd(key);
  }

  #storing(verb: string, key: string): string {
    const value = this.value();
    // A wrong length: the data end too early or too late, or are not ended at all.
    const off = value.length <= 1_000 && this.#chance(60) ? this.#pick([1, 2, 3, -1, -2]) : 0;
    const length = Math.max(0, value.length + off);
    const gap = this.#chance(50) ? '  ' : ' ';
    return `${verb}${gap}${key} ${this.#flags(value)} ${this.#exptime()} ${length}${this.#noreply()}\r\n${value}\r\n`;
  }

  #odd(key: string): string {
    return this.#pick([
      '\r\n',
      'get\r\n',
      'gets \r\n',
      `GET ${key}\r\n`,
      `set ${key}\r\n`,
      `set ${key} 0 0\r\n`,
      `set ${key} 0 0 -1\r\n`,
      `set ${key} a b c\r\n`,
      `set ${'k'.repeat(251)} 0 0 1\r\nx\r\n`,
      `incr ${key}\r\n`,
      `incr ${'k'.repeat(251)} 1\r\n`,
      `touch ${key}\r\n`,
      `touch ${key} abc\r\n`,
      `gat abc ${key}\r\n`,
      `delete ${'k'.repeat(251)}\r\n`,
      'delete\r\n',
      'verbosity 0\r\n',
      'verbosity\r\n',
      'flush_all x\r\n',
      this.#chance(8) ? 'flush_all\r\n' : 'mn\r\n',
      this.#chance(8) ? 'flush_all 0 noreply\r\n' : 'mn\r\n',
      'version x\r\n',
      'bogus command here\r\n',
      `get ${key}\n`,
      `  get   ${key}  \r\n`,
      `get ${key}\0abc\r\n`,
      `set ${key} 0 0 2\nab\r\n`,
      'stats bogus\r\n',
      'stats reset x\r\n',
      `${'x'.repeat(1500)}\r\n`,
      'gat\r\n',
      'gat 0\r\n',
      'gats x\r\n',
      `gat 10 ${key} ${key} noreply\r\n`,
      `bget ${key}\r\n`,
      'bget\r\n',
      `bgets ${key}\r\n`,
      `touch ${key} 1 2 3\r\n`,
      `touch ${key} 100000 noreplyx\r\n`,
      `touch ${'k'.repeat(251)} 0\r\n`,
      'verbosity x\r\n',
      'verbosity 0 2\r\n',
      'verbosity 0 2 3\r\n',
      'verbosity noreply\r\n',
      'verbosity 0 noreply\r\n',
      `incr ${key} 1 2\r\n`,
      `incr ${key} 1 2 3\r\n`,
      `decr ${key} +1\r\n`,
      `cas ${key} 0 0 1\r\n1\r\n`,
      `cas ${key} 0 0 1 x\r\n1\r\n`,
      `cas ${key} 0 0 1 5 noreply x\r\n1\r\n`,
      `add ${key} 0 0 1 noreply x\r\n1\r\n`,
      `delete ${key} b c d\r\n`,
      `delete ${key} 0 0\r\n`,
      'flush_all a b c\r\n',
      'flush_all x noreply\r\n',
      'slabs\r\n',
      'slabs automove\r\n',
      'slabs automove 3\r\n',
      'slabs automove x\r\n',
      'slabs reassign 1\r\n',
      'lru\r\n',
      'lru mode\r\n',
      'lru tune 1 2\r\n',
      'lru_crawler\r\n',
      'lru_crawler sleep x\r\n',
      'lru_crawler sleep 2000000\r\n',
      'lru_crawler tocrawl x\r\n',
      'cache_memlimit\r\n',
      'cache_memlimit x\r\n',
      'cache_memlimit 1\r\n',
      'shutdown\r\n',
      'shutdown now\r\n',
      'refresh_certs\r\n',
      'stats detail\r\n',
      'stats detail x\r\n',
      'stats cachedump\r\n',
    ]);
  }

  /** One binary request. */
  binary(out: Uint8Array): Uint8Array {
    const key = Buffer.from(this.key());
    const opaque = this.#random.nextU32();
    const kind = this.#random.nextBelow(100);
    const cas = this.#chance(5) ? BigInt(this.cas()) : 0n;
    const value = Buffer.from(this.value(), 'latin1');
    const withValue = (end: number): Uint8Array => Buffer.concat([out.subarray(0, end), value]);
    const copy = (end: number): Uint8Array => Buffer.from(out.subarray(0, end));
    const exptime = this.#pick([0, 0, 0, 100_000, 4_294_967_295, 1_500_000_000]);
    if (kind < 40) {
      const opcode = this.#pick([B.OP_GET, B.OP_GET, B.OP_GETQ, B.OP_GETK, B.OP_GETKQ]);
      return copy(binaryGet(out, 0, key, 0, key.length, opaque, opcode));
    }
    if (kind < 65) {
      const opcode = this.#pick([B.OP_SET, B.OP_SET, B.OP_SETQ, B.OP_ADD, B.OP_ADDQ, B.OP_REPLACE, B.OP_REPLACEQ]);
      const flags = this.#chance(2) ? 0 : this.#random.nextU32();
      return withValue(binaryStore(out, 0, key, 0, key.length, flags, exptime, value.length, opaque, opcode, cas));
    }
    if (kind < 72) {
      const opcode = this.#pick([B.OP_APPEND, B.OP_APPENDQ, B.OP_PREPEND, B.OP_PREPENDQ]);
      return withValue(binaryConcat(out, 0, opcode, key, 0, key.length, value.length, opaque, cas));
    }
    if (kind < 84) {
      const opcode = this.#pick([B.OP_INCREMENT, B.OP_DECREMENT, B.OP_INCREMENTQ, B.OP_DECREMENTQ]);
      const delta = BigInt(this.#random.nextBelow(1000));
      const created = this.#pick([0, 0xffffffff, 100_000]);
      return copy(binaryArithmetic(out, 0, key, 0, key.length, delta, 5n, created, opaque, opcode, cas));
    }
    if (kind < 92) {
      const opcode = this.#pick([B.OP_TOUCH, B.OP_GAT, B.OP_GATQ, B.OP_GATK, B.OP_GATKQ]);
      return copy(binaryTouch(out, 0, key, 0, key.length, exptime, opaque, opcode));
    }
    if (kind < 97) return copy(binaryGet(out, 0, key, 0, key.length, opaque, this.#pick([B.OP_DELETE, B.OP_DELETEQ])));
    return copy(binaryBare(out, 0, opaque, this.#pick([B.OP_NOOP, B.OP_VERSION, B.OP_SASL_LIST_MECHS])));
  }
}
