/**
 * Draws parts of random commands: keys, members, numbers from small sets that all types share, so that commands of one type meet
 * values of another and members meet again.
 */
import type { Random } from '../../../engines/ports.ts';
import type { RandomCommand } from './random-commands.ts';

const KEYS = ['k0', 'k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k7'];
const SPECIAL_KEYS = ['key:with:a:longer:name:that:passes:the:embedded:header:sizes', '\0\r\n\xff', ''];
const MEMBERS = 24;
/** Lengths around the thresholds of encodings and headers. */
const LENGTHS = [0, 1, 5, 31, 32, 43, 44, 45, 63, 64, 65, 66, 100, 127, 128, 255, 256, 300];

export class Draw {
  readonly random: Random;
  /** Longer than the rest, so that thresholds of element sizes are passed. */
  private readonly long: readonly string[];

  constructor(random: Random) {
    this.random = random;
    this.long = ['a'.repeat(63), 'b'.repeat(64), 'c'.repeat(65), 'd'.repeat(300)];
  }

  /** 0 to bound - 1. */
  below(bound: number): number {
    return this.random.nextBelow(bound);
  }

  pick<T>(all: readonly T[]): T {
    return all[this.random.nextBelow(all.length)]!;
  }

  /** True once in so many times. */
  chance(oneIn: number): boolean {
    return this.random.nextBelow(oneIn) === 0;
  }

  /** `count` results of `make` in a row. */
  times<T>(count: number, make: () => T): T[] {
    return Array.from({ length: count }, make);
  }

  /** 1 to `most` results, few of them most often. */
  some<T>(most: number, make: () => T): T[] {
    const count = this.chance(8) ? 1 + this.below(most) : 1 + this.below(Math.min(3, most));
    return this.times(count, make);
  }

  key(): string {
    return this.chance(30) ? this.pick(SPECIAL_KEYS) : this.pick(KEYS);
  }

  keys(most: number): string[] {
    return this.some(most, () => this.key());
  }

  /** A member of a set or list, a field of a hash: texts, integers of every width, long ones now and then. */
  member(): string {
    return this.pick([
      () => `m${this.below(MEMBERS)}`,
      () => `m${this.below(MEMBERS)}`,
      () => String(this.below(MEMBERS)),
      () => String(this.below(2 * MEMBERS) - MEMBERS),
      () => this.pick(['', '-0', '007', '1.5', '\0\xff', 'a b', '127', '128', '-128', '32767', '32768', '65536']),
      () => this.pick(['8388607', '8388608', '-8388609', '2147483647', '2147483648', '-2147483649', '4294967296']),
      () => this.pick(['9223372036854775807', '-9223372036854775808', '9223372036854775808', '4095', '4096', '-4096']),
      () => (this.chance(6) ? this.pick(this.long) : this.text(this.below(8))),
    ])();
  }

  /** A field of a hash. */
  field(): string {
    return this.chance(20) ? this.member() : `f${this.below(MEMBERS)}`;
  }

  /** A value of a hash field or list element. */
  value(): string {
    return this.chance(3) ? this.text(this.pick(LENGTHS)) : this.member();
  }

  text(length: number): string {
    const alphabet = this.pick(['abc', '0123456789', '\0\x01\xfe\xff ', 'ab"\'\\\r\n']);
    let text = '';
    for (let i = 0; i < length; i++) text += alphabet[this.random.nextBelow(alphabet.length)];
    return text;
  }

  /** An index or count near zero, and now and then one that is no number or out of range. */
  integer(): string {
    if (!this.chance(15)) return String(this.below(41) - 20);
    return this.pick([
      '9223372036854775807',
      '-9223372036854775808',
      '9223372036854775808',
      'x',
      '',
      '1.5',
      '+1',
      '-0',
      '10000000000',
    ]);
  }

  /** A count that is not negative. */
  count(): string {
    return this.chance(25) ? this.integer() : String(this.below(12));
  }

  /** A score, increment or coordinate. */
  score(): string {
    if (this.chance(25)) return this.pick(['nan', 'x', '', '1e400', '0x10', ' 1', '1 ', '-nan']);
    return this.pick([
      () => String(this.below(20) - 10),
      () => String(this.below(200) / 8 - 10),
      () => String((this.random.nextFloat() - 0.5) * 10 ** (this.below(40) - 20)),
      () =>
        this.pick([
          'inf',
          '-inf',
          '+inf',
          '0',
          '-0',
          '1e17',
          '1e21',
          '-1.5e-7',
          '3.0e3',
          '9007199254740993',
          '0.1',
          '1.1',
        ]),
    ])();
  }

  /** The word as given, in lower case, or in mixed case. */
  word(text: string): string {
    return this.chance(3) ? text.toLowerCase() : text;
  }

  /** A command whose reply must be equal. */
  exact(...args: string[]): RandomCommand {
    return { args, compare: 'exact' };
  }

  /** A command whose reply is an array (or set) in any order. */
  unordered(...args: string[]): RandomCommand {
    return { args, compare: 'unordered' };
  }
}
