/** Random commands of the string and generic groups over a few keys, so that most of them meet something. */
import type { Random } from '../../../engines/ports.ts';

/**
 * How a reply is to be compared: whole; as a set; as a set of pairs (a flat array, a map or an array of pairs); only how many items;
 * as a time that passes; only whether it is nil.
 */
export type Comparison =
  | 'exact'
  | 'unordered'
  | 'pairs'
  | 'length'
  | 'seconds'
  | 'milliseconds'
  | 'presence'
  /** What XPENDING and XINFO say of deliveries, all but their times. */
  | 'deliveries';

export interface RandomCommand {
  readonly args: readonly string[];
  readonly compare: Comparison;
}

const KEYS = [
  'k0',
  'k1',
  'k2',
  'k3',
  'k4',
  'k5',
  'key:with:a:longer:name:that:passes:the:embedded:header:sizes',
  '\0\r\n\xff',
  '',
];
const BIG_KEYS = ['b0', 'b1', 'b2'];
/** Payloads of DUMP: a short text, integers of each width, a run of 200 letters, and one with a wrong checksum. */
const PAYLOADS = [
  '\x00\x05text!\x0a\x00[\xaf\x1c\x1c\xcej\xa3}',
  '\x00\xc0*\x0a\x00\x81\xfb\x5c\xfa\x86cOP',
  '\x00\xc1\x18\xfc\x0a\x00F\x025^p"Z\x90',
  '\x00\xc2p\x11\x01\x00\x0a\x00\x01\xa4\x08\xfe\x950\x95\xa5',
  '\x00\xc3\x09@\xc8\x01xx\xe0\xbb\x00\x01xx\x0a\x00\xaa\x8d\xb4J\x0a\xd7\x9d\xcd',
  '\x00\x05texT!\x0a\x00[\xaf\x1c\x1c\xcej\xa3}',
];
/** Far enough that no key expires while a test runs. */
const FAR_SECONDS = 4_000_000_000;

export class CommandSource {
  private readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }

  private pick<T>(all: readonly T[]): T {
    return all[this.random.nextBelow(all.length)]!;
  }

  private chance(oneIn: number): boolean {
    return this.random.nextBelow(oneIn) === 0;
  }

  private key(): string {
    return this.pick(KEYS);
  }

  private text(length: number): string {
    let text = '';
    const alphabet = this.pick(['abc', '0123456789', '\0\x01\xfe\xff ', 'ab"\'\\\r\n']);
    for (let i = 0; i < length; i++) text += alphabet[this.random.nextBelow(alphabet.length)];
    return text;
  }

  private integer(): string {
    return this.pick([
      () => String(this.random.nextBelow(20) - 10),
      () => String(this.random.nextBelow(20_000)),
      () => String(this.random.nextU32() - 2 ** 31),
      () => String(BigInt(this.random.nextU32()) * BigInt(this.random.nextU32())),
      () =>
        this.pick([
          '9223372036854775807',
          '-9223372036854775808',
          '9223372036854775808',
          '9007199254740993',
          '-9007199254740993',
        ]),
      () => this.pick(['0', '-0', '00', '+1', ' 1', '1 ', '', 'x', '1.0', '-', '12345678901234567890123']),
    ])();
  }

  private float(): string {
    return this.pick([
      () => String(this.random.nextBelow(2000) / 8 - 100),
      () => String((this.random.nextFloat() - 0.5) * 10 ** (this.random.nextBelow(30) - 10)),
      () =>
        this.pick([
          '0.1',
          '-0.3',
          '3.0e3',
          '1e-20',
          '1E20',
          '.5',
          '5.',
          '-.5e1',
          '+7',
          '0x1p3',
          '0x.8',
          '1e400',
          '1e4930',
        ]),
      () =>
        this.pick([
          'inf',
          '-inf',
          'nan',
          '1e5000',
          '1e-5000',
          'abc',
          '',
          ' 1',
          '1 ',
          '1e',
          '0x',
          '--1',
          '1_0',
          'infinity',
        ]),
      () => this.integer(),
    ])();
  }

  private value(): string {
    return this.pick([
      () => this.integer(),
      () => this.float(),
      () => this.text(this.random.nextBelow(60)),
      () => this.text(this.random.nextBelow(300)),
      () => this.text(this.pick([0, 31, 32, 43, 44, 45, 46])),
    ])();
  }

  private bigValue(): string {
    const length = this.pick([
      16_383, 16_384, 20_000, 32_767, 32_768, 40_000, 70_000, 100_000, 255, 256, 65_535, 65_536,
    ]);
    return this.text(4)
      .padEnd(4, 'z')
      .repeat(Math.ceil(length / 4))
      .slice(0, length);
  }

  private expiry(): string[] {
    const seconds = 100_000 + this.random.nextBelow(900_000);
    return this.pick([
      () => ['EX', String(seconds)],
      () => ['px', String(seconds * 1000)],
      () => ['EXAT', String(FAR_SECONDS + this.random.nextBelow(1000))],
      () => ['PXAT', String((FAR_SECONDS + this.random.nextBelow(1000)) * 1000 + 7)],
      () => [
        this.pick(['EX', 'PX', 'EXAT', 'PXAT']),
        this.pick(['0', '-1', 'x', '9223372036854775807', '9223372036854775']),
      ],
    ])();
  }

  private expireTime(): string[] {
    const conditions = ['NX', 'XX', 'GT', 'LT', 'gt', 'ZZ'];
    const tail = this.chance(2) ? [] : [this.pick(conditions), ...(this.chance(4) ? [this.pick(conditions)] : [])];
    const seconds = 100_000 + this.random.nextBelow(900_000);
    const command = this.pick([
      () => ['EXPIRE', this.key(), String(seconds)],
      () => ['PEXPIRE', this.key(), String(seconds * 1000)],
      () => ['EXPIREAT', this.key(), String(FAR_SECONDS + this.random.nextBelow(5) * 1000)],
      () => ['PEXPIREAT', this.key(), String((FAR_SECONDS + this.random.nextBelow(5) * 1000) * 1000)],
      () => [
        this.pick(['EXPIRE', 'PEXPIRE', 'EXPIREAT', 'PEXPIREAT']),
        this.key(),
        this.pick(['-1', '0', '-9223372036854775808']),
      ],
      () => [this.pick(['EXPIREAT', 'PEXPIREAT']), this.key(), this.integer().replace(/^(\d{1,12})$/, '-$1')],
      () => ['PEXPIREAT', this.key(), this.pick(['9223372036854775807', '9223372036854775806'])],
    ])();
    return [...command, ...tail];
  }

  private setOptions(): string[] {
    const options: string[] = [];
    while (this.chance(2)) {
      options.push(
        ...this.pick([
          () => ['NX'],
          () => ['XX'],
          () => ['GET'],
          () => ['KEEPTTL'],
          () => this.expiry(),
          () => ['zz'],
        ])(),
      );
    }
    return options;
  }

  private string(): RandomCommand {
    const args = this.pick<() => string[]>([
      () => ['SET', this.key(), this.value()],
      () => ['SET', this.key(), this.value()],
      () => ['SET', this.key(), this.value(), ...this.setOptions()],
      () => ['SETNX', this.key(), this.value()],
      () => ['SETEX', this.key(), this.pick(['200000', '0', '-5', 'x']), this.value()],
      () => ['PSETEX', this.key(), this.pick(['200000000', '0', '-5', '1.5']), this.value()],
      () => ['GET', this.key()],
      () => ['GETSET', this.key(), this.value()],
      () => ['GETDEL', this.key()],
      () => [
        'GETEX',
        this.key(),
        ...this.pick([() => [], () => ['PERSIST'], () => this.expiry(), () => ['EXAT', '1'], () => ['NX']])(),
      ],
      () => ['APPEND', this.key(), this.value()],
      () => ['STRLEN', this.key()],
      () => ['SETRANGE', this.key(), this.pick(['0', '3', '50', '500', '-1', '536870912', 'x']), this.value()],
      () => [this.pick(['GETRANGE', 'SUBSTR']), this.key(), this.integer(), this.integer()],
      () => ['GETRANGE', this.key(), String(this.random.nextBelow(40) - 20), String(this.random.nextBelow(40) - 20)],
      () => [this.pick(['INCR', 'DECR']), this.key()],
      () => [this.pick(['INCRBY', 'DECRBY']), this.key(), this.integer()],
      () => ['INCRBYFLOAT', this.key(), this.float()],
      () => ['MGET', this.key(), this.key(), this.key()],
      () => [this.pick(['MSET', 'MSETNX', 'MSET']), this.key(), this.value(), this.key(), this.value()],
      () => ['MSET', this.key(), this.value(), this.key()],
      () => ['LCS', this.key(), this.key(), ...this.lcsOptions()],
    ])();
    return { args, compare: 'exact' };
  }

  private lcsOptions(): string[] {
    const options: string[] = [];
    while (this.chance(2))
      options.push(...this.pick([['LEN'], ['IDX'], ['MINMATCHLEN', this.integer()], ['WITHMATCHLEN'], ['bad']]));
    return options;
  }

  private generic(): RandomCommand {
    const exact = (...args: string[]): RandomCommand => ({ args, compare: 'exact' });
    return this.pick<() => RandomCommand>([
      () => exact('DEL', this.key(), ...(this.chance(2) ? [this.key()] : [])),
      () => exact('UNLINK', this.key()),
      () => exact('EXISTS', this.key(), this.key()),
      () => exact('TOUCH', this.key(), this.key()),
      () => exact('TYPE', this.key()),
      () => exact('PERSIST', this.key()),
      () => exact(...this.expireTime()),
      () => ({ args: ['TTL', this.key()], compare: 'seconds' }),
      () => ({ args: ['PTTL', this.key()], compare: 'milliseconds' }),
      () => ({ args: ['EXPIRETIME', this.key()], compare: 'seconds' }),
      () => ({ args: ['PEXPIRETIME', this.key()], compare: 'milliseconds' }),
      () => ({
        args: [
          'KEYS',
          this.pick(['*', 'k*', 'k?', 'k[0-3]', 'k[^1]', '*:*', 'b\\0', '', '[', 'k[', '\\', '*\xff', '?*?']),
        ],
        compare: 'unordered',
      }),
      () => ({
        args: [
          'SCAN',
          '0',
          'COUNT',
          '1000',
          ...this.pick([[], ['MATCH', 'k*'], ['TYPE', 'string'], ['TYPE', 'list'], ['match', '*']]),
        ],
        compare: 'unordered',
      }),
      () => exact('SCAN', this.pick(['x', '-1x', '']), 'COUNT', this.pick(['0', 'x', '-1'])),
      () => exact('SCAN', '0', this.pick(['COUNT', 'FOO', 'MATCH'])),
      () => ({ args: ['RANDOMKEY'], compare: 'presence' }),
      () => exact('DBSIZE'),
      () => exact(this.pick(['RENAME', 'RENAMENX']), this.key(), this.key()),
      () =>
        exact(
          'COPY',
          this.key(),
          this.key(),
          ...this.pick([[], ['REPLACE'], ['DB', '1'], ['DB', '99'], ['DB', 'x'], ['DB', '1', 'REPLACE'], ['foo']]),
        ),
      () => exact('MOVE', this.key(), this.pick(['1', '0', '15', '16', '-1', 'x', '99999999999'])),
      () => exact('SELECT', this.pick(['0', '0', '1', '15', '16', 'x'])),
      () => exact('OBJECT', 'ENCODING', this.key()),
      () => exact('MEMORY', 'USAGE', this.key()),
      () => this.dump(),
      () => exact('WAIT', this.pick(['0', '0', '-1', 'x']), this.pick(['0', '10', '-1', 'x', '9223372036854775807'])),
      () => exact(...this.sort()),
    ])();
  }

  private sort(): string[] {
    const options: string[] = [];
    while (this.chance(2)) {
      options.push(
        ...this.pick([
          () => [this.pick(['ASC', 'DESC', 'ALPHA', 'zz'])],
          () => ['LIMIT', this.pick(['0', '-1', 'x']), this.pick(['10', '-1', 'x'])],
          () => [this.pick(['BY', 'GET']), this.pick(['*', 'nosort', '#', 'w_*->f'])],
          () => ['STORE', this.key()],
          () => [this.pick(['LIMIT', 'BY', 'GET', 'STORE'])],
        ])(),
      );
    }
    return [this.pick(['SORT', 'SORT', 'SORT_RO']), this.key(), ...options];
  }

  /** DUMP, and RESTORE of what either server might have dumped, of rubbish, and with options. */
  private dump(): RandomCommand {
    const restore = (): string[] => {
      const options: string[] = this.chance(3) ? [] : ['REPLACE'];
      while (this.chance(3)) {
        options.push(
          ...this.pick([
            () => ['ABSTTL'],
            () => ['IDLETIME', this.pick(['0', '100', '-1', 'x'])],
            () => ['FREQ', this.pick(['0', '200', '256', 'x'])],
            () => ['zz'],
          ])(),
        );
      }
      const ttl = this.pick(['0', '0', '0', '200000000', '-1', 'x', '1', String(FAR_SECONDS * 1000)]);
      // A ttl of 1 is only sure to have passed where it is a time.
      if (ttl === '1') options.push('ABSTTL');
      return ['RESTORE', this.key(), ttl, this.chance(4) ? this.value() : this.pick(PAYLOADS), ...options];
    };
    return { args: this.chance(3) ? ['DUMP', this.key()] : restore(), compare: 'exact' };
  }

  private rare(): RandomCommand {
    const args = this.pick<() => string[]>([
      () => ['SWAPDB', this.pick(['0', '1', 'x', '16']), this.pick(['0', '1', 'x', '-1'])],
      () => [this.pick(['FLUSHDB', 'FLUSHALL']), ...this.pick([[], ['SYNC'], ['ASYNC'], ['foo'], ['SYNC', 'SYNC']])],
      () => [this.text(this.random.nextBelow(150)), this.text(100), this.text(100)],
      () => ['nosuch', this.text(3)],
      () => ['OBJECT', 'nosuch', 'x'],
      () => this.string().args.slice(0, this.random.nextBelow(3) + 1),
      () => [...this.string().args, 'extra'],
      () => this.generic().args.slice(0, 1),
    ])();
    // RANDOMKEY by itself is a whole command.
    return { args, compare: args[0] === 'RANDOMKEY' ? 'presence' : 'exact' };
  }

  private big(): RandomCommand {
    const key = this.pick(BIG_KEYS);
    const args = this.pick<() => string[]>([
      () => ['SET', key, this.bigValue()],
      () => ['SET', key, this.bigValue(), ...this.setOptions()],
      () => ['GET', key],
      () => ['GETSET', key, this.bigValue()],
      () => ['APPEND', key, this.bigValue()],
      () => ['SETRANGE', key, String(this.random.nextBelow(50_000)), this.value()],
      () => ['MSET', key, this.bigValue(), this.pick(BIG_KEYS), this.bigValue()],
      () => ['MGET', key, this.pick(BIG_KEYS)],
      () => ['STRLEN', key],
      () => ['DEL', key],
      () => ['GETDEL', key],
      () => ['DUMP', key],
      () => ['COPY', key, this.pick(BIG_KEYS), 'REPLACE'],
      () => ['MEMORY', 'USAGE', key],
    ])();
    // How much room a large value has to spare depends on how its bytes happened to arrive, on either server.
    return { args, compare: args[0] === 'MEMORY' ? 'presence' : 'exact' };
  }

  /** The next command. */
  next(): RandomCommand {
    const dice = this.random.nextBelow(200);
    if (dice < 2) return this.rare();
    if (dice < 4) return this.big();
    const command = dice < 120 ? this.string() : this.generic();
    if (!this.chance(20)) return command;
    // Names of commands and options are read in any case.
    return { ...command, args: [command.args[0]!.toLowerCase(), ...command.args.slice(1)] };
  }
}
