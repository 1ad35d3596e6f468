/**
 * Sockets of the system by number: opening, listening, options, names. The set-up side of the epoll loop; nothing here is
 * called for a request.
 */
import { chmodSync } from 'node:fs';
import type { Allocator, Memory } from '../ports.ts';
import {
  AF_INET6,
  AF_UNIX,
  addressFamily,
  readIpAddress,
  readPort,
  SOCKET_ADDRESS_BYTES,
  writeIpAddress,
  writeUnixAddress,
} from './socket-address.ts';
import { removeStaleSocket } from './stale-socket.ts';
import type { SystemCalls } from './system.ts';
import { SystemError } from './system-error.ts';

export const CLOEXEC = 0o2000000;
export const NONBLOCK = 0o4000;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_ERROR = 4;
const SO_SNDBUF = 7;
const SO_KEEPALIVE = 9;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
const KEEPALIVE_PROBES = 3;
/** What a socket for datagrams asks for; the system grants as much of it as its own bound allows. */
const DATAGRAM_SEND_BYTES = 256 * 1024 * 1024;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;

export class Sockets {
  private readonly sys: SystemCalls;
  private readonly allocator: Allocator;
  private readonly memory: Memory;
  /** Arena offsets of a socket address and, behind it, of small values that the kernel reads and fills. */
  private readonly nameAt: number;
  private readonly small: number;

  constructor(sys: SystemCalls, allocator: Allocator) {
    this.sys = sys;
    this.allocator = allocator;
    this.memory = allocator.memory;
    this.nameAt = allocator.alloc(SOCKET_ADDRESS_BYTES + 16);
    if (this.nameAt === 0) throw new Error('Cannot create an epoll loop: the arena is exhausted');
    this.small = this.nameAt + SOCKET_ADDRESS_BYTES;
  }

  destroy(): void {
    this.allocator.free(this.nameAt);
  }

  /** A new socket that does not block. @throws SystemError */
  open(family: number, what: string, type = SOCK_STREAM): number {
    return this.check('socket', this.sys.socket(family, type | CLOEXEC | NONBLOCK, 0), what);
  }

  /** @returns the descriptor. @throws SystemError */
  listenTcp(host: string, port: number, backlog: number): number {
    const what = `Cannot listen on ${host}:${port}`;
    const family = addressFamily(host);
    const fd = this.open(family, what);
    try {
      this.setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
      // An IPv6 address means that one alone; the IPv4 side is bound by its own literal.
      if (family === AF_INET6) this.setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
      const length = this.setTcpAddress(host, port);
      this.check('bind', this.sys.bind(fd, this.address(this.nameAt), length), what);
      this.check('listen', this.sys.listen(fd, backlog), what);
      return fd;
    } catch (error) {
      this.sys.close(fd);
      throw error;
    }
  }

  /** A socket that receives datagrams. @returns the descriptor. @throws SystemError */
  bindUdp(host: string, port: number): number {
    const what = `Cannot receive datagrams on ${host}:${port}`;
    const family = addressFamily(host);
    const fd = this.open(family, what, SOCK_DGRAM);
    try {
      this.setOption(fd, SOL_SOCKET, SO_SNDBUF, DATAGRAM_SEND_BYTES);
      if (family === AF_INET6) this.setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
      const length = this.setTcpAddress(host, port);
      this.check('bind', this.sys.bind(fd, this.address(this.nameAt), length), what);
      return fd;
    } catch (error) {
      this.sys.close(fd);
      throw error;
    }
  }

  /** @param mode permission bits, 0 to leave them. @returns the descriptor. @throws SystemError */
  listenUnix(path: string, backlog: number, mode: number): number {
    const what = `Cannot listen on Unix socket ${path}`;
    const fd = this.open(AF_UNIX, what);
    try {
      removeStaleSocket(path);
      const length = this.setUnixAddress(path);
      this.check('bind', this.sys.bind(fd, this.address(this.nameAt), length), what);
      // Before `listen`, so that nobody gets in while the mode is still the umask's.
      if (mode !== 0) chmodSync(path, mode);
      this.check('listen', this.sys.listen(fd, backlog), what);
      return fd;
    } catch (error) {
      this.sys.close(fd);
      throw error;
    }
  }

  /** Sets the address that `connect` goes to. @returns its length in bytes */
  setTcpAddress(host: string, port: number): number {
    return writeIpAddress(this.memory, this.nameAt, host, port);
  }

  /** Likewise for a Unix socket. */
  setUnixAddress(path: string): number {
    return writeUnixAddress(this.memory, this.nameAt, path);
  }

  /** Connects to the address set last. @returns 0 or the errno (EINPROGRESS: on its way) */
  connect(fd: number, length: number): number {
    return this.sys.connect(fd, this.address(this.nameAt), length) === 0 ? 0 : this.sys.errno();
  }

  /** Small replies leave at once; a silent peer is probed after `keepAliveSeconds` (0: never). */
  tuneTcp(fd: number, keepAliveSeconds: number): void {
    this.setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (keepAliveSeconds <= 0) return;
    this.setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    this.setOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, keepAliveSeconds);
    this.setOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, Math.max(1, Math.floor(keepAliveSeconds / KEEPALIVE_PROBES)));
    this.setOption(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
  }

  /** The errno that waits on a socket (0: none); asking clears it. */
  error(fd: number): number {
    const view = this.memory.view;
    view.setInt32(this.small, 0, true);
    view.setUint32(this.small + 4, 4, true);
    this.sys.getsockopt(fd, SOL_SOCKET, SO_ERROR, this.address(this.small), this.address(this.small + 4));
    return view.getInt32(this.small, true);
  }

  /** "127.0.0.1:6379" of the own or the peer's end of a TCP socket, "?:0" where there is none any more. */
  name(fd: number, local: boolean): string {
    return this.readName(fd, local) ? readIpAddress(this.memory, this.nameAt) : '?:0';
  }

  localPort(fd: number): number {
    return this.readName(fd, true) ? readPort(this.memory, this.nameAt) : 0;
  }

  private readName(fd: number, local: boolean): boolean {
    this.memory.view.setUint32(this.small, SOCKET_ADDRESS_BYTES, true);
    const name = this.address(this.nameAt);
    const length = this.address(this.small);
    return (local ? this.sys.getsockname(fd, name, length) : this.sys.getpeername(fd, name, length)) === 0;
  }

  private setOption(fd: number, level: number, option: number, value: number): void {
    this.memory.view.setInt32(this.small, value, true);
    this.sys.setsockopt(fd, level, option, this.address(this.small), 4);
  }

  private address(offset: number): number {
    return this.memory.address + offset;
  }

  private check(syscall: string, result: number, what: string): number {
    if (result < 0) throw new SystemError(syscall, this.sys.errno(), what);
    return result;
  }
}
