/**
 * Datagrams over system calls: the epoll loop's side of UDP. A socket's datagrams are received one by one into one buffer and answered
 * at once; what the system does not take waits here, and as long as something waits nothing more is received from that socket.
 */
import type { Allocator } from '../ports.ts';
import { SOCKET_ADDRESS_BYTES } from './socket-address.ts';
import type { SystemCalls } from './system.ts';
import { errnoOf } from './system-error.ts';

/** More than a datagram can have. */
const DATAGRAM_BYTES_MAX = 65_536;
/** Datagrams received from one socket in a turn. */
const RECEIVE_ROUNDS_MAX = 64;
/** Bytes that may wait to be sent for one socket; what comes beyond is lost. */
export const WAITING_BYTES_MAX = 4 * 1024 * 1024;

const EAGAIN = errnoOf('EAGAIN');
const EINTR = errnoOf('EINTR');

/** A datagram that waits: its receiver's address and then its bytes, in an allocation of its own. */
interface Waiting {
  readonly at: number;
  readonly addressLength: number;
  readonly length: number;
}

export class Datagrams {
  /** Counted for tests and reports: datagrams given up because too many waited or the system refused them. */
  dropped = 0;
  readonly #sys: SystemCalls;
  readonly #allocator: Allocator;
  readonly #waiting = new Map<number, Waiting[]>();
  readonly #waitingBytes = new Map<number, number>();
  /** Arena offsets: the datagram under way, its sender's address and that one's length. 0: no socket yet. */
  #buffer = 0;
  #nameAt = 0;
  #nameLengthAt = 0;

  constructor(sys: SystemCalls, allocator: Allocator) {
    this.#sys = sys;
    this.#allocator = allocator;
  }

  /** Takes the buffers that sockets share. @returns false when the arena is exhausted */
  prepare(): boolean {
    if (this.#buffer !== 0) return true;
    const at = this.#allocator.alloc(DATAGRAM_BYTES_MAX + SOCKET_ADDRESS_BYTES + 8);
    if (at === 0) return false;
    this.#buffer = at;
    this.#nameAt = at + DATAGRAM_BYTES_MAX;
    this.#nameLengthAt = this.#nameAt + SOCKET_ADDRESS_BYTES;
    return true;
  }

  destroy(): void {
    for (const fd of [...this.#waiting.keys()]) this.forget(fd);
    if (this.#buffer !== 0) this.#allocator.free(this.#buffer);
    this.#buffer = 0;
  }

  /** A socket is closed: what waits for it is lost. */
  forget(fd: number): void {
    for (const { at } of this.#waiting.get(fd) ?? []) this.#allocator.free(at);
    this.#waiting.delete(fd);
    this.#waitingBytes.delete(fd);
  }

  /** Whether something waits to be sent. */
  isBlocked(fd: number): boolean {
    return this.#waiting.has(fd);
  }

  /**
   * Receives what is there.
   * @param take called with the place of each datagram; may call `send`
   * @returns bytes received
   */
  receive(fd: number, take: (start: number, end: number) => void): number {
    const { memory } = this.#allocator;
    const base = memory.address;
    let bytes = 0;
    for (let round = 0; round < RECEIVE_ROUNDS_MAX && !this.#waiting.has(fd); round++) {
      memory.u32[this.#nameLengthAt >>> 2] = SOCKET_ADDRESS_BYTES;
      const name = base + this.#nameAt;
      const nameLength = base + this.#nameLengthAt;
      const count = this.#sys.recvfrom(fd, base + this.#buffer, DATAGRAM_BYTES_MAX, 0, name, nameLength);
      if (count < 0) {
        // An error that an earlier datagram met on its way is reported here once; the socket goes on.
        if (this.#sys.errno() === EAGAIN) break;
        continue;
      }
      bytes += count;
      take(this.#buffer, this.#buffer + count);
    }
    return bytes;
  }

  /** Sends bytes to the sender of the datagram received last. @returns whether they left at once */
  send(fd: number, offset: number, length: number): boolean {
    const addressLength = this.#allocator.memory.u32[this.#nameLengthAt >>> 2];
    if (!this.#waiting.has(fd)) {
      const errno = this.#try(fd, offset, length, this.#nameAt, addressLength);
      if (errno === 0) return true;
      if (errno !== EAGAIN) {
        this.dropped++;
        return false;
      }
    }
    this.#wait(fd, offset, length, addressLength);
    return false;
  }

  /** The socket takes datagrams again. @returns bytes that have left */
  flush(fd: number): number {
    const waiting = this.#waiting.get(fd);
    if (waiting === undefined) return 0;
    let sent = 0;
    let done = 0;
    for (; done < waiting.length; done++) {
      const { at, addressLength, length } = waiting[done]!;
      const errno = this.#try(fd, at + SOCKET_ADDRESS_BYTES, length, at, addressLength);
      if (errno === EAGAIN) break;
      if (errno === 0) sent += length;
      else this.dropped++;
      this.#allocator.free(at);
      this.#waitingBytes.set(fd, this.#waitingBytes.get(fd)! - length);
    }
    waiting.splice(0, done);
    if (waiting.length === 0) this.forget(fd);
    return sent;
  }

  /** @returns 0 or the errno */
  #try(fd: number, offset: number, length: number, nameAt: number, nameLength: number): number {
    const base = this.#allocator.memory.address;
    for (;;) {
      if (this.#sys.sendto(fd, base + offset, length, 0, base + nameAt, nameLength) >= 0) return 0;
      const errno = this.#sys.errno();
      if (errno !== EINTR) return errno;
    }
  }

  #wait(fd: number, offset: number, length: number, addressLength: number): void {
    const bytes = this.#waitingBytes.get(fd) ?? 0;
    const at = bytes + length > WAITING_BYTES_MAX ? 0 : this.#allocator.alloc(SOCKET_ADDRESS_BYTES + length);
    if (at === 0) {
      this.dropped++;
      return;
    }
    const { u8 } = this.#allocator.memory;
    u8.copyWithin(at, this.#nameAt, this.#nameAt + addressLength);
    u8.copyWithin(at + SOCKET_ADDRESS_BYTES, offset, offset + length);
    const entry = { at, addressLength, length };
    const waiting = this.#waiting.get(fd);
    if (waiting === undefined) this.#waiting.set(fd, [entry]);
    else waiting.push(entry);
    this.#waitingBytes.set(fd, bytes + length);
  }
}
