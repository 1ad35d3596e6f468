/** Random meta commands for memcached, the same for every seed: all flags, alone and together, right and wrong. */
import type { Random } from '../../engines/ports.ts';
import type { CommandMaker } from './memcached-commands.ts';

/** Every flag of every command; what a command has no use for is accepted by it. */
const PLAIN_FLAGS = ['c', 'f', 'h', 'k', 'l', 'q', 's', 't', 'u', 'v', 'I', 'L', 'P', 'L/path/', 'Pany'];
/** Times far enough apart that a second more or less decides nothing. */
const TIMES = ['0', '100000', '100000', '2000000', '-1', '2000000000', '+5000'];
const WRONG_TIMES = ['', 'x', '1x', '99999999999999999999', '-', ' 5'];
const MODES = ['E', 'A', 'P', 'R', 'S', 'S', 'I', '+', 'D', '-', 'X', 'e', '', 'AP'];
const WRONG_BASE64 = ['Zm9', '====', 'Z===', 'A', 'Zm9v=', '-_-_', '!', 'Zm9vY\x80', 'Zm9v===='];
/** Base64 that is not how one would write it, and means something nevertheless. */
const ODD_BASE64 = ['Zm=v', 'Zm9vYh==', 'a!2V5', 'a2V5OjE=Zm9v', 'AAAA', 'AA=='];

export class MetaMaker {
  readonly #random: Random;
  readonly #ascii: CommandMaker;

  constructor(random: Random, ascii: CommandMaker) {
    this.#random = random;
    this.#ascii = ascii;
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.nextBelow(from.length)]!;
  }

  #chance(oneIn: number): boolean {
    return this.#random.nextBelow(oneIn) === 0;
  }

  /** A key as it is written, and whether it wants the flag b. */
  #key(): [string, boolean] {
    if (!this.#chance(4)) {
      // Half of the wrong decodings are plain keys that are taken for Base64.
      return [this.#chance(200) ? 'k'.repeat(251) : this.#ascii.key(), this.#chance(60)];
    }
    if (this.#chance(15)) return [this.#pick(WRONG_BASE64), true];
    if (this.#chance(15)) return [this.#pick(ODD_BASE64), true];
    if (this.#chance(2)) {
      const length = 1 + this.#random.nextBelow(3);
      const bytes = Buffer.from(Array.from({ length }, () => this.#pick([0, 10, 13, 32, 128, 255])));
      return [bytes.toString('base64'), true];
    }
    return [Buffer.from(this.#ascii.key(), 'latin1').toString('base64'), !this.#chance(30)];
  }

  #time(): string {
    return this.#chance(40) ? this.#pick(WRONG_TIMES) : this.#pick(TIMES);
  }

  #number(): string {
    if (this.#chance(40)) return this.#pick(['', 'x', '-1', '18446744073709551616', '1x']);
    return this.#pick(['0', '1', '2', '9', '10', '95', '1000', '4611686018427387904', '007', '+3']);
  }

  #flag(): string {
    switch (this.#random.nextBelow(24)) {
      case 0:
      case 1:
        return `T${this.#time()}`;
      case 2:
      case 3:
        return `N${this.#time()}`;
      case 4:
        return `R${this.#pick(['50000', '1000000', '0', '-1', '2500000', ''])}`;
      case 5:
        return `F${this.#pick(['0', '1', '123456', '4294967295', '4294967296', '-1', 'x', ''])}`;
      case 6:
        return `C${this.#chance(30) ? this.#pick(['', 'x', '-1', '18446744073709551615', '0']) : this.#ascii.cas()}`;
      case 7:
        return `M${this.#pick(MODES)}`;
      case 8:
        return `J${this.#number()}`;
      case 9:
        return `D${this.#number()}`;
      case 10:
      case 11:
        return `O${'opaque-token-0123456789-abcdefghijkl'.slice(0, this.#chance(20) ? 31 + this.#random.nextBelow(3) : this.#random.nextBelow(12))}`;
      case 12:
        return this.#chance(25) ? this.#pick(['E5', 'S2', 'x', 'X', '0', '~', '\x7f', '\x80', 'B', '\x01', 'y']) : 'k';
      default:
        return this.#pick(PLAIN_FLAGS);
    }
  }

  #flags(binary: boolean, more: readonly string[] = []): string {
    const flags = [...more];
    const count = this.#chance(100) ? 14 + this.#random.nextBelow(12) : this.#random.nextBelow(6);
    for (let i = 0; i < count; i++) {
      const flag = this.#flag();
      // Flags that are there twice hide what follows; they come rarely.
      if (this.#chance(100) || !flags.some((other) => other[0] === flag[0])) flags.push(flag);
    }
    if (binary) flags.splice(this.#random.nextBelow(flags.length + 1), 0, 'b');
    const gap = this.#chance(60) ? '  ' : ' ';
    return flags.map((flag) => gap + flag).join('') + (this.#chance(60) ? ' ' : '');
  }

  /** One command with whatever belongs to it. */
  next(): string {
    const [key, binary] = this.#key();
    const kind = this.#random.nextBelow(100);
    if (kind < 38) return `mg ${key}${this.#flags(binary, this.#chance(2) ? ['v'] : [])}\r\n`;
    if (kind < 66) return this.#set(key, binary);
    if (kind < 78) return `md ${key}${this.#flags(binary, this.#chance(3) ? ['I'] : [])}\r\n`;
    if (kind < 92) return `ma ${key}${this.#flags(binary, this.#chance(3) ? ['v'] : [])}\r\n`;
    if (kind < 95) return `me ${key}${binary ? ' b' : ''}${this.#chance(10) ? ' x' : ''}\r\n`;
    if (kind < 97) return 'mn\r\n';
    return this.#odd(key);
  }

  #set(key: string, binary: boolean): string {
    const value = this.#ascii.value();
    // A wrong length: the data end too early or too late. What follows is then read as a command, which must not be too long a line.
    const off = value.length <= 1_000 && this.#chance(60) ? this.#pick([1, 2, 3, -1, -2]) : 0;
    const length = Math.max(0, value.length + off);
    if (value.length <= 1_000) return `ms ${key} ${length}${this.#flags(binary)}\r\n${value}\r\n`;
    // Nor may a refused header leave a large value to be read as one.
    const short = key.length > 250 ? 'key:1' : key;
    return `ms ${short} ${length}${this.#pick(['', ' c', ' k c q', ' MA', ' MP c', ' F5 T100000 Oabc'])}${binary ? ' b' : ''}\r\n${value}\r\n`;
  }

  #odd(key: string): string {
    return this.#pick([
      'mg\r\n',
      'mg \r\n',
      'ms\r\n',
      'md\r\n',
      'ma\r\n',
      'me\r\n',
      'mx\r\n',
      'mgg key:1\r\n',
      `ms ${key}\r\n`,
      `ms ${key} abc\r\n`,
      `ms ${key} -1 k\r\n`,
      `ms ${key} 2x k\r\n`,
      `ms ${key} 99999999999999999999 k\r\n`,
      `ms ${key} 4294967298 c\r\nab\r\n`,
      `ms ${key} +2\r\nab\r\n`,
      `ms ${key} S2\r\n`,
      `mg ${key} v\0k\r\n`,
      `mg ${key}\0 v\r\n`,
      `mg ${key} v k\n`,
      `  mg ${key} v\r\n`,
      `mg ${key} v\tk\r\n`,
      `mg ${key} ${'c '.repeat(25)}\r\n`,
      'mn with more\r\n',
      `MG ${key}\r\n`,
      `mg ${'x'.repeat(300)} v\r\n`,
    ]);
  }
}
