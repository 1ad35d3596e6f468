/** A connection that sends binary requests in batches, each closed by a no-op whose reply tells that all others have come. */
import net from 'node:net';
import * as B from '../../../engines/memcached/protocol/binary.ts';
import { binaryRequest } from '../../conformance/memcached-binary-requests.ts';

const STALL_MS = 20_000;
const LAST = 0xffff_ffff;

export interface BinaryReply {
  opcode: number;
  status: number;
  /** Number of the request in its batch. */
  request: number;
  cas: bigint;
  key: Buffer;
  value: Buffer;
}

export class StressBinary {
  readonly socket: net.Socket;
  #buffer = Buffer.alloc(0);
  #replies: BinaryReply[] = [];
  #done: ((error: Error | null) => void) | null = null;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('close', () => this.#done?.(new Error('The server has closed a binary connection')));
    socket.on('data', (data) => {
      this.#buffer = this.#buffer.length === 0 ? data : Buffer.concat([this.#buffer, data]);
      this.#parse();
    });
  }

  static connect(path: string): Promise<StressBinary> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ path });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new StressBinary(socket)));
    });
  }

  /** @param requests made with their place in the list as `opaque` @returns the replies; quiet requests may have none */
  ask(requests: readonly Buffer[]): Promise<BinaryReply[]> {
    this.socket.write(Buffer.concat([...requests, binaryRequest({ opcode: B.OP_NOOP, opaque: LAST })]));
    return new Promise((resolve, reject) => {
      const stalled = setTimeout(() => this.#done?.(new Error('No reply to binary requests')), STALL_MS);
      this.#done = (error) => {
        clearTimeout(stalled);
        this.#done = null;
        const replies = this.#replies;
        this.#replies = [];
        if (error === null) resolve(replies);
        else reject(error);
      };
    });
  }

  #parse(): void {
    let at = 0;
    const buffer = this.#buffer;
    while (at + B.BINARY_HEADER_BYTES <= buffer.length) {
      const length = buffer.readUInt32BE(at + 8);
      const end = at + B.BINARY_HEADER_BYTES + length;
      if (end > buffer.length) break;
      const keyAt = at + B.BINARY_HEADER_BYTES + buffer[at + 4]!;
      const valueAt = keyAt + buffer.readUInt16BE(at + 2);
      const request = buffer.readUInt32BE(at + 12);
      if (buffer[at] !== B.MAGIC_RESPONSE) this.#done?.(new Error(`A reply begins with ${buffer[at]}`));
      else if (request === LAST) this.#done?.(null);
      else {
        this.#replies.push({
          opcode: buffer[at + 1]!,
          status: buffer.readUInt16BE(at + 6),
          request,
          cas: buffer.readBigUInt64BE(at + 16),
          key: buffer.subarray(keyAt, valueAt),
          value: buffer.subarray(valueAt, end),
        });
      }
      at = end;
    }
    this.#buffer = buffer.subarray(at);
  }
}
