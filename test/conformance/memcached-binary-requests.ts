/** Random binary requests, the same for every seed: every opcode, sound and malformed, for the differential and fuzz tests. */
import * as B from '../../engines/memcached/protocol/binary.ts';
import type { Random } from '../../engines/ports.ts';
import { CommandMaker } from './memcached-commands.ts';

/** A request whose every header field can be set. */
export interface BinaryParts {
  opcode: number;
  key?: Buffer;
  extras?: Buffer;
  value?: Buffer;
  cas?: bigint;
  opaque?: number;
  magic?: number;
  /** Lengths that the header tells instead of the real ones. */
  keyLength?: number;
  extrasLength?: number;
  bodyLength?: number;
}

const NOTHING = Buffer.alloc(0);

export function binaryRequest(parts: BinaryParts): Buffer {
  const { key = NOTHING, extras = NOTHING, value = NOTHING } = parts;
  const header = Buffer.alloc(B.BINARY_HEADER_BYTES);
  header[0] = parts.magic ?? B.MAGIC_REQUEST;
  header[1] = parts.opcode;
  header.writeUInt16BE(parts.keyLength ?? key.length, 2);
  header[4] = parts.extrasLength ?? extras.length;
  header.writeUInt32BE(parts.bodyLength ?? extras.length + key.length + value.length, 8);
  header.writeUInt32BE(parts.opaque ?? 7, 12);
  header.writeBigUInt64BE(parts.cas ?? 0n, 16);
  return Buffer.concat([header, extras, key, value]);
}

const STAT_NAMES = ['bogus', 'reset', 'resetxyz', 'detail', 'detail on', 'detail off', 'detail dump', 'detail foo'];
const MORE_STAT_NAMES = ['conns', 'cachedump', 'cachedump 1 1', 'slabsx', 'sizes_enable', 'sizes_disable', 'sizes'];

/** Opcodes that 1.6.18 does not know, and such as nobody gets an answer of his own to. */
const UNKNOWN = [B.OP_VERBOSITY, 0x1f, 0x25, 0x30, 0x3d, 0x48, 0x77, 0x80, 0xff];

export class BinaryRequestMaker {
  readonly #random: Random;
  readonly #maker: CommandMaker;
  readonly #out = new Uint8Array(1_000);
  /** CAS ids that a reply has shown; the test adds to it. */
  readonly seenCas: bigint[] = [];

  readonly #mayFlush: boolean;

  /** @param mayFlush whether requests may flush: without CAS ids that is a matter of whole seconds */
  constructor(random: Random, keys: number, mayFlush = true) {
    this.#random = random;
    this.#mayFlush = mayFlush;
    this.#maker = new CommandMaker(random, keys);
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.nextBelow(from.length)]!;
  }

  #cas(): bigint {
    if (this.#random.nextBelow(4) !== 0) return 0n;
    return this.seenCas.length > 0 ? this.#pick(this.seenCas) : BigInt(this.#random.nextBelow(5_000));
  }

  #key(): Buffer {
    return Buffer.from(this.#maker.key());
  }

  /** A request that leaves the connection open. */
  sound(): Buffer {
    const kind = this.#random.nextBelow(100);
    const opaque = this.#random.nextU32();
    if (kind < 80) return this.#withCas(Buffer.from(this.#maker.binary(this.#out)));
    if (kind < 84) return binaryRequest({ opcode: this.#pick([B.OP_NOOP, B.OP_VERSION]), opaque });
    if (kind < 88) return binaryRequest({ opcode: this.#pick(UNKNOWN), opaque });
    if (kind < 89) return this.#flush(opaque);
    if (kind < 91) return this.#stat(opaque);
    if (kind < 94) return this.#sasl(opaque);
    if (kind < 97) return this.#create(opaque);
    // vbucket and data type are looked at by nobody.
    const request = binaryRequest({ opcode: this.#pick([B.OP_GET, B.OP_DELETE]), key: this.#key(), opaque });
    request[5] = this.#random.nextBelow(256);
    request.writeUInt16BE(this.#random.nextBelow(65_536), 6);
    return request;
  }

  /** Gives some of the requests a CAS id that a reply has shown. */
  #withCas(request: Buffer): Buffer {
    const cas = this.#cas();
    if (cas !== 0n && request[1] !== B.OP_NOOP) request.writeBigUInt64BE(cas, 16);
    return request;
  }

  #flush(opaque: number): Buffer {
    const extras = Buffer.alloc(this.#pick([0, 4]));
    // In the far future, so that nothing is flushed.
    if (extras.length === 4) extras.writeUInt32BE(this.#pick([0, 2_000_000, 4_000_000_000]), 0);
    const rare = this.#random.nextBelow(30) === 0 && this.#mayFlush;
    return binaryRequest({ opcode: rare ? B.OP_FLUSH : B.OP_NOOP, extras: rare ? extras : NOTHING, opaque });
  }

  #stat(opaque: number): Buffer {
    const name = this.#random.nextBelow(2) === 0 ? this.#pick(STAT_NAMES) : this.#pick(MORE_STAT_NAMES);
    return binaryRequest({ opcode: B.OP_STAT, key: Buffer.from(name), opaque });
  }

  #sasl(opaque: number): Buffer {
    const opcode = this.#pick([B.OP_SASL_LIST_MECHS, B.OP_SASL_AUTH, B.OP_SASL_STEP]);
    if (opcode === B.OP_SASL_LIST_MECHS) return binaryRequest({ opcode, opaque });
    const value = Buffer.alloc(this.#random.nextBelow(3_000), 'x');
    return binaryRequest({ opcode, key: Buffer.from('PLAIN'), value, opaque });
  }

  /** Counting with initial values and steps of every size, also where nothing is created. */
  #create(opaque: number): Buffer {
    const extras = Buffer.alloc(20);
    const numbers = [0n, 1n, 9n, 99_999n, 2n ** 31n, 2n ** 32n, 2n ** 53n + 1n];
    extras.writeBigUInt64BE(this.#pick(numbers), 0);
    extras.writeBigUInt64BE(this.#pick(numbers.slice(0, 6)), 8);
    extras.writeUInt32BE(this.#pick([0, 0, 0xffffffff, 100_000]), 16);
    const opcode = this.#pick([B.OP_INCREMENT, B.OP_DECREMENT, B.OP_INCREMENTQ, B.OP_DECREMENTQ]);
    // Keys of their own, which are deleted now and then: a sum of 2^63 and more is read differently by a later incr.
    const key = Buffer.from(`count${this.#random.nextBelow(20)}`);
    if (this.#random.nextBelow(3) === 0) return binaryRequest({ opcode: B.OP_DELETEQ, key, opaque });
    return binaryRequest({ opcode, key, extras, opaque });
  }

  /** A request after which the server closes the connection. */
  fatal(): Buffer {
    const opaque = this.#random.nextU32();
    const key = this.#key();
    const value = Buffer.alloc(this.#random.nextBelow(40), 'v');
    switch (this.#random.nextBelow(12)) {
      case 0:
        return binaryRequest({ opcode: B.OP_GET, key, magic: this.#pick([0, 0x47, 0x81, 0xff]), opaque });
      case 1:
        return binaryRequest({ opcode: B.OP_GET, key: Buffer.alloc(251 + this.#random.nextBelow(2_000), 'k'), opaque });
      case 2:
        return binaryRequest({ opcode: this.#pick([B.OP_GET, B.OP_SET, 0x77]), key, bodyLength: 1, opaque });
      case 3:
        return binaryRequest({ opcode: this.#pick([B.OP_SET, B.OP_ADDQ]), key, value, opaque });
      case 4:
        return binaryRequest({ opcode: this.#pick([B.OP_GET, B.OP_DELETEQ, B.OP_GETKQ]), opaque });
      case 5:
        return binaryRequest({ opcode: B.OP_GET, key, value: Buffer.from('v'), opaque });
      case 6:
        return binaryRequest({
          opcode: this.#pick([B.OP_GET, B.OP_APPEND, B.OP_STAT]),
          key,
          extras: value.fill(1),
          opaque,
        });
      case 7:
        return binaryRequest({
          opcode: this.#pick([B.OP_NOOP, B.OP_VERSION, B.OP_QUIT]),
          value: Buffer.from('v'),
          opaque,
        });
      case 8:
        return binaryRequest({
          opcode: this.#pick([B.OP_INCREMENT, B.OP_DECREMENTQ]),
          key,
          extras: Buffer.alloc(8),
          opaque,
        });
      case 9:
        return binaryRequest({ opcode: this.#pick([B.OP_TOUCH, B.OP_GATQ]), key, extras: Buffer.alloc(3), opaque });
      case 10:
        return binaryRequest({ opcode: B.OP_FLUSH, extras: Buffer.alloc(2), opaque });
      default:
        return binaryRequest({ opcode: this.#pick([B.OP_QUIT, B.OP_QUITQ]), opaque });
    }
  }
}

/** CAS ids of the successes among responses. */
export function casOfResponses(bytes: Buffer): bigint[] {
  const found: bigint[] = [];
  for (let at = 0; at + B.BINARY_HEADER_BYTES <= bytes.length; ) {
    const cas = bytes.readBigUInt64BE(at + 16);
    if (cas !== 0n) found.push(cas);
    at += B.BINARY_HEADER_BYTES + bytes.readUInt32BE(at + 8);
  }
  return found;
}
