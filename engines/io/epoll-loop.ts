/**
 * The event loop over epoll. It owns its thread: it sleeps in the kernel and leaves it only to let libuv have a turn.
 * Bytes go from socket to arena and back by raw address, so nothing of a request becomes a JavaScript object.
 *
 * Registrations are level-triggered and stay as they are: a request costs one read, one write and its share of one wait.
 */
import { isMainThread } from 'node:worker_threads';
import { copyInto } from '../base/copy-into.ts';
import type { Allocator } from '../ports.ts';
import { CONNECTING, ConnectionLoop, DRAINING, OPEN, PAUSED } from './connection-loop.ts';
import { Datagrams } from './datagrams.ts';
import { type EventLoopOptions, type Listener, MOVED, type Waker } from './event-loop.ts';
import { nowUs } from './now.ts';
import { AF_UNIX, addressFamily } from './socket-address.ts';
import { CLOEXEC, NONBLOCK, Sockets } from './sockets.ts';
import { removeStaleSocket } from './stale-socket.ts';
import { type SystemCalls, systemCalls, systemUnavailableReason, tightenTimers } from './system.ts';
import { errnoOf, SystemError } from './system-error.ts';

const EPOLLIN = 1;
const EPOLLOUT = 4;
const EPOLLERR = 8;
const EPOLLHUP = 16;
const CTL_ADD = 1;
const CTL_DEL = 2;
const CTL_MOD = 3;

const EINTR = errnoOf('EINTR');
const EAGAIN = errnoOf('EAGAIN');
const EINPROGRESS = errnoOf('EINPROGRESS');
const ECONNABORTED = errnoOf('ECONNABORTED');

/** struct epoll_event is packed on x86 only. */
const EVENT_BYTES = process.arch === 'x64' || process.arch === 'ia32' ? 12 : 16;
const EVENT_DATA = EVENT_BYTES === 12 ? 4 : 8;
const MAX_EVENTS = 1024;
const MAX_IOV = 256;
/** Connections accepted from one listener in a turn. */
const MAX_ACCEPTS = 1000;
/** Calls of writev for one connection in a turn, so that a large reply does not hold up the others. */
const MAX_WRITES = 4;
/** libuv gets a turn at least this often unless the options say otherwise. */
const DEFAULT_HOP_MS = 100;
/** How long, and for what share of the time, a loop polls that must not be late. */
const POLL_US_MAX = 2_000;
const POLL_SHARE = 0.25;
/** A listener that ran out of descriptors rests for this long instead of failing again at once. */
const ACCEPT_REST_MS = 100;
/** A Unix socket whose backlog is full is tried again after this. */
const CONNECT_RETRY_MS = 2;

/** What an event's data say beside a connection's slot. */
const TAG_LISTENER = 0x40000000;
const TAG_WAKE = 0x50000000;
const TAG_UV = 0x60000000;
const TAG_DATAGRAMS = 0x70000000;

interface EpollListener extends Listener {
  fd: number;
  unix: boolean;
  backlog: number;
}

/** @throws Error where system calls cannot be made (see `systemAvailable`) or the memory has no address */
export function createEpollLoop(allocator: Allocator, options?: EventLoopOptions): EpollLoop {
  const sys = systemCalls();
  if (sys === null) throw new Error(`Cannot create an epoll loop: ${systemUnavailableReason()}`);
  if (allocator.memory.address === 0) throw new Error('Cannot create an epoll loop: the memory has no address');
  return new EpollLoop(allocator, sys, options);
}

export class EpollLoop extends ConnectionLoop {
  readonly name = 'epoll' as const;
  readonly waker: Waker;
  private readonly sys: SystemCalls;
  private readonly sockets: Sockets;
  private readonly address: number;
  private readonly epoll: number;
  private readonly uvFd: number;
  /** Arena offsets of what the kernel reads and fills: events, iovecs, small values. */
  private events: number;
  /** The events of `serveInside`, 0: not made yet; and how often it ran. */
  private innerEvents = 0;
  private innerRounds = 0;
  private readonly iov: number;
  private readonly small: number;
  private fds: Int32Array;
  private interest: Uint8Array;
  private readonly listeners: EpollListener[] = [];
  private listenerCount = 0;
  /** Where connections of our own go, for names and retries. */
  private readonly targets = new Map<number, string>();
  /** Connections that another loop is going to serve, and who is told. */
  private readonly leaving = new Map<number, (fd: number, input: Uint8Array) => void>();
  private readonly datagrams: Datagrams;
  /** Slots of sockets for datagrams. */
  private readonly datagramSlots = new Set<number>();
  /** Whose datagram is being served. */
  private datagramConn = -1;
  private readonly takeDatagram = (start: number, end: number): void => {
    this.handler.onDatagram?.(this.datagramConn, start, end);
  };
  private readonly hopMs: number;
  private hopDueUs = 0;
  private wantsHop = false;
  private finished: (() => void) | null = null;
  private tight = false;
  private pollWakeUs = 0;
  private pollFromUs = 0;

  constructor(allocator: Allocator, sys: SystemCalls, options?: EventLoopOptions) {
    super(allocator, options);
    this.sys = sys;
    this.sockets = new Sockets(sys, allocator);
    this.datagrams = new Datagrams(sys, allocator);
    this.address = allocator.memory.address;
    this.hopMs = options?.hopMs ?? DEFAULT_HOP_MS;
    const slots = this.state.length;
    this.fds = new Int32Array(slots).fill(-1);
    this.interest = new Uint8Array(slots);
    this.events = allocator.alloc(MAX_EVENTS * EVENT_BYTES);
    this.iov = allocator.alloc(MAX_IOV * 16);
    this.small = allocator.alloc(64);
    if (this.events === 0 || this.iov === 0 || this.small === 0) {
      throw new Error('Cannot create an epoll loop: the arena is exhausted');
    }
    this.epoll = this.check('epoll_create1', sys.epoll_create1(CLOEXEC), 'Cannot create an epoll loop');
    const fd = this.check('eventfd', sys.eventfd(0, CLOEXEC | NONBLOCK), 'Cannot create an epoll loop');
    this.waker = { fd, cell: null };
    this.control(CTL_ADD, fd, EPOLLIN, TAG_WAKE);
    // Only the main thread's libuv loop can be reached from here; a worker's gets its regular hops.
    this.uvFd = isMainThread ? sys.uvBackendFd() : -1;
    if (this.uvFd >= 0) this.control(CTL_ADD, this.uvFd, EPOLLIN, TAG_UV);
  }

  // Listening

  async listenTcp(host: string, port: number, backlog: number): Promise<Listener> {
    const fd = this.sockets.listenTcp(host, port, backlog);
    return this.addListener(fd, host, this.sockets.localPort(fd), false, backlog);
  }

  async listenUnix(path: string, backlog: number, mode: number): Promise<Listener> {
    return this.addListener(this.sockets.listenUnix(path, backlog, mode), path, 0, true, backlog);
  }

  private addListener(fd: number, address: string, port: number, unix: boolean, backlog: number): Listener {
    const listener: EpollListener = { id: this.listenerCount++, fd, address, port, unix, backlog };
    this.listeners[listener.id] = listener;
    this.control(CTL_ADD, fd, EPOLLIN, TAG_LISTENER + listener.id);
    return listener;
  }

  async listenUdp(host: string, port: number): Promise<Listener> {
    const fd = this.sockets.bindUdp(host, port);
    const listener = { id: this.datagramSlots.size, address: host, port: this.sockets.localPort(fd), fd };
    if (this.serveUdp(fd, listener.id) >= 0) return listener;
    this.sys.close(fd);
    throw new Error(`Cannot receive datagrams on ${host}:${port}: the table of connections or the arena is full`);
  }

  bindUdp(host: string, port: number): { fd: number; port: number; close(): void } {
    const fd = this.sockets.bindUdp(host, port);
    return { fd, port: this.sockets.localPort(fd), close: () => this.sys.close(fd) };
  }

  adoptUdp(fd: number, listener: number): number {
    // A descriptor of its own, as each thread of the originals has: so the loops can end in any order.
    const own = this.check('dup', this.sys.dup(fd), 'Cannot share a socket for datagrams');
    const conn = this.serveUdp(own, listener);
    if (conn < 0) this.sys.close(own);
    return conn;
  }

  /** @returns the slot, -1 when the table or the arena is full */
  private serveUdp(fd: number, listener: number): number {
    const conn = this.datagrams.prepare() ? this.takeSlot(OPEN, -1) : -1;
    if (conn < 0) return -1;
    this.fds[conn] = fd;
    this.datagramSlots.add(conn);
    this.interest[conn] = EPOLLIN;
    this.control(CTL_ADD, fd, EPOLLIN, TAG_DATAGRAMS + conn);
    this.handler.onDatagramSocket?.(conn, listener);
    return conn;
  }

  private serveDatagrams(conn: number, flags: number): void {
    const fd = this.fds[conn];
    if (fd < 0) return;
    if ((flags & EPOLLOUT) !== 0) this.counters.bytesOut += this.datagrams.flush(fd);
    if (!this.datagrams.isBlocked(fd)) {
      this.datagramConn = conn;
      this.counters.reads++;
      this.counters.bytesIn += this.datagrams.receive(fd, this.takeDatagram);
    }
    const wanted = this.datagrams.isBlocked(fd) ? EPOLLOUT : EPOLLIN;
    if (this.interest[conn] === wanted) return;
    this.interest[conn] = wanted;
    this.control(CTL_MOD, fd, wanted, TAG_DATAGRAMS + conn);
  }

  sendDatagram(conn: number, offset: number, length: number): void {
    this.counters.writes++;
    if (this.datagrams.send(this.fds[conn], offset, length)) this.counters.bytesOut += length;
  }

  closeListeners(): void {
    for (const listener of this.listeners) {
      if (listener.fd < 0) continue;
      this.sys.close(listener.fd);
      listener.fd = -1;
      if (listener.unix) removeStaleSocket(listener.address);
    }
  }

  private accept(listener: EpollListener): void {
    const sys = this.sys;
    for (let i = 0; i < MAX_ACCEPTS && listener.fd >= 0; i++) {
      if (this.isFull?.() === true) {
        // Only the first is known to wait; if there are more, the listener is reported again.
        if (i > 0) return;
        this.setAccepting(false);
        this.onFull?.();
        return;
      }
      const fd = sys.accept4(listener.fd, 0, 0, CLOEXEC | NONBLOCK);
      if (fd < 0) {
        const errno = sys.errno();
        if (errno === EINTR || errno === ECONNABORTED) continue;
        if (errno !== EAGAIN) this.restListener(listener);
        return;
      }
      if (!listener.unix) this.sockets.tuneTcp(fd, this.tcpKeepAliveSeconds);
      const isTaken =
        this.onAccepted !== null
          ? this.onAccepted(fd, listener)
          : this.connectionCount < this.maxConnections && this.adopt(fd, listener.id, '') >= 0;
      if (isTaken) this.counters.accepted++;
      else this.refuse(fd);
    }
  }

  adopt(fd: number, listener: number, path: string, input?: Uint8Array): number {
    const conn = this.takeSlot(OPEN, listener);
    if (conn < 0) return -1;
    if (path !== '') this.targets.set(conn, path);
    this.fds[conn] = fd;
    this.interest[conn] = EPOLLIN;
    this.control(CTL_ADD, fd, EPOLLIN, conn);
    this.handler.onOpen(conn, listener);
    if (input !== undefined && input.length > 0) this.giveInput(conn, input);
    return conn;
  }

  detach(conn: number, taken: (fd: number, input: Uint8Array) => void): void {
    if (this.state[conn] !== OPEN) return;
    this.leaving.set(conn, taken);
    this.reason[conn] = MOVED;
    this.state[conn] = DRAINING;
    if (this.isDirty[conn] === 0) this.markDirty(conn);
  }

  /** Takes a connection out of this loop without closing its socket. */
  private letGo(conn: number, fd: number, taken: (fd: number, input: Uint8Array) => void): void {
    if (this.interest[conn] !== DETACHED) this.control(CTL_DEL, fd, 0, conn);
    this.input.kept(conn);
    taken(fd, this.memory.u8.slice(this.input.start, this.input.end));
  }

  private setAccepting(on: boolean): void {
    for (const listener of this.listeners) {
      if (listener.fd < 0) continue;
      this.control(CTL_MOD, listener.fd, on ? EPOLLIN : 0, TAG_LISTENER + listener.id);
      // As the original does: with no backlog the system turns most newcomers away itself.
      this.sys.listen(listener.fd, on ? listener.backlog : 0);
    }
  }

  acceptAgain(): void {
    this.setAccepting(true);
  }

  /** No descriptor or memory is left: without a rest the waiting connection would be reported again and again. */
  private restListener(listener: EpollListener): void {
    this.control(CTL_MOD, listener.fd, 0, TAG_LISTENER + listener.id);
    this.addTimer(ACCEPT_REST_MS, () => {
      if (listener.fd >= 0) this.control(CTL_MOD, listener.fd, EPOLLIN, TAG_LISTENER + listener.id);
      return -1;
    });
  }

  private refuse(fd: number): void {
    const bytes = this.refusal();
    if (bytes !== null && bytes.length > 0) {
      const offset = this.allocator.alloc(bytes.length);
      if (offset !== 0) {
        this.memory.u8.set(bytes, offset);
        this.sys.write(fd, this.address + offset, bytes.length);
        this.allocator.free(offset);
      }
    }
    this.sys.close(fd);
  }

  // Connecting

  connectTcp(host: string, port: number): number {
    const sockets = this.sockets;
    const what = `Cannot connect to ${host}:${port}`;
    const length = sockets.setTcpAddress(host, port);
    const fd = sockets.open(addressFamily(host), what);
    sockets.tuneTcp(fd, 0);
    return this.startConnect(fd, '', what, length);
  }

  connectUnix(path: string): number {
    const what = `Cannot connect to Unix socket ${path}`;
    const length = this.sockets.setUnixAddress(path);
    return this.startConnect(this.sockets.open(AF_UNIX, what), path, what, length);
  }

  /** @param path of a Unix socket, empty for TCP */
  private startConnect(fd: number, path: string, what: string, length: number): number {
    let conn: number;
    try {
      conn = this.takeOwnSlot(what);
    } catch (error) {
      this.sys.close(fd);
      throw error;
    }
    this.fds[conn] = fd;
    this.interest[conn] = 0;
    if (path !== '') this.targets.set(conn, path);
    this.tryConnect(conn, path, length);
    return conn;
  }

  private tryConnect(conn: number, path: string, length: number): void {
    const fd = this.fds[conn];
    const errno = this.sockets.connect(fd, length);
    if (errno === 0 || errno === EINPROGRESS) {
      // Success at once is reported by the loop too: the socket is writable.
      this.interest[conn] = EPOLLOUT;
      this.control(CTL_ADD, fd, EPOLLOUT, conn);
    } else if (errno === EAGAIN && path !== '') {
      this.addTimer(CONNECT_RETRY_MS, () => {
        if (this.state[conn] === CONNECTING && this.fds[conn] === fd) {
          this.tryConnect(conn, path, this.sockets.setUnixAddress(path));
        }
        return -1;
      });
    } else {
      this.fail(conn, errno);
    }
  }

  private finishConnect(conn: number): void {
    const errno = this.sockets.error(this.fds[conn]);
    if (errno !== 0) {
      this.fail(conn, errno);
      return;
    }
    this.setInterest(conn, EPOLLIN);
    this.established(conn);
  }

  // Names

  peerName(conn: number): string {
    return this.nameOf(conn, false);
  }

  localName(conn: number): string {
    return this.nameOf(conn, true);
  }

  descriptor(conn: number): number {
    return this.fds[conn];
  }

  private nameOf(conn: number, local: boolean): string {
    const origin = this.origin[conn];
    if (origin >= 0 && this.listeners[origin]?.unix === true) return `${this.listeners[origin]!.address}:0`;
    const target = this.targets.get(conn);
    if (target !== undefined) return `${target}:0`;
    return this.sockets.name(this.fds[conn], local);
  }

  // Turns

  async run(): Promise<void> {
    if (this.running) throw new Error('Cannot run an event loop that is running');
    this.running = true;
    this.hopDueUs = nowUs() + this.hopMs * 1000;
    try {
      while (this.running) {
        this.turn();
        if (this.wantsHop || this.turnUs >= this.hopDueUs) await this.hop();
      }
    } finally {
      this.running = false;
      this.finished?.();
      this.finished = null;
    }
  }

  private async hop(): Promise<void> {
    this.wantsHop = false;
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.hopDueUs = nowUs() + this.hopMs * 1000;
  }

  private turn(): void {
    const count = this.wait();
    this.turnUs = nowUs();
    this.serveAll(count);
    this.finishTurn();
  }

  private serveAll(count: number): void {
    const u32 = this.memory.u32;
    const round = this.innerRounds;
    for (let i = 0; i < count; i++) {
      const at = (this.events + i * EVENT_BYTES) >>> 2;
      const flags = u32[at];
      const tag = u32[at + (EVENT_DATA >>> 2)];
      if (tag < TAG_LISTENER) this.serve(tag, flags);
      else if (tag < TAG_WAKE) this.accept(this.listeners[tag - TAG_LISTENER]!);
      else if (tag >= TAG_DATAGRAMS) this.serveDatagrams(tag - TAG_DATAGRAMS, flags);
      else this.serveSpecial(tag);
      // Served from within: the rest of these events is out of date, and what still holds is reported again.
      if (this.innerRounds !== round) return;
    }
  }

  serveInside(): boolean {
    if (this.innerEvents === 0) this.innerEvents = this.allocator.alloc(MAX_EVENTS * EVENT_BYTES);
    if (this.innerEvents === 0 || !this.input.exchangeShared()) return this.running;
    const { events } = this;
    this.events = this.innerEvents;
    try {
      const count = this.sys.epoll_wait(this.epoll, this.address + this.events, MAX_EVENTS, 0);
      this.serveAll(count);
      this.sendDirty();
    } finally {
      this.events = events;
      this.input.exchangeShared();
      this.innerRounds++;
    }
    return this.running;
  }

  private serveSpecial(tag: number): void {
    // Whoever woke us from another thread may have posted a message too, which libuv delivers.
    this.wantsHop = true;
    if (tag !== TAG_WAKE) return;
    this.sys.read(this.waker.fd, this.address + this.small, 8);
    this.onWake?.();
  }

  private serve(conn: number, flags: number): void {
    const state = this.state[conn];
    if (state === OPEN) {
      if ((flags & EPOLLOUT) !== 0) this.writable(conn);
      if (this.paused[conn] === 0) {
        if ((flags & (EPOLLIN | EPOLLHUP | EPOLLERR)) !== 0) this.receive(conn);
      } else if (this.paused[conn] === PAUSED) {
        this.rest(conn, flags);
      }
      // One that has yielded is reported again in the next turn.
    } else if (state === CONNECTING) {
      this.finishConnect(conn);
    } else if (state === DRAINING) {
      if ((flags & EPOLLOUT) !== 0) this.writable(conn);
      else this.rest(conn, flags);
    }
  }

  /** A connection that we do not read from now is reported: see to it that it is not again. */
  private rest(conn: number, flags: number): void {
    if ((flags & EPOLLERR) !== 0) this.fail(conn, this.sockets.error(this.fds[conn]));
    else if ((flags & EPOLLHUP) !== 0) {
      // The peer is gone altogether. What it had sent before may still be wanted when the pause ends, but a hang-up cannot
      // be masked, so the socket leaves the poll set until then.
      if (this.state[conn] === DRAINING) this.fail(conn, 0);
      else {
        this.control(CTL_DEL, this.fds[conn], 0, conn);
        this.interest[conn] = DETACHED;
      }
    } else if ((flags & EPOLLIN) !== 0) this.setInterest(conn, this.interest[conn] & ~EPOLLIN);
  }

  private receive(conn: number): void {
    if (!this.prepareRead(conn)) return;
    const input = this.input;
    this.counters.reads++;
    const count = this.sys.read(this.fds[conn], this.address + input.readAt, input.readRoom);
    if (count > 0) this.received(conn, count);
    else if (count === 0) {
      // What it sent before a pause that has just ended is handed over first; its end is reported again.
      if (!this.resumed.includes(conn)) this.ended(conn);
    } else {
      const errno = this.sys.errno();
      if (errno !== EAGAIN && errno !== EINTR) this.fail(conn, errno);
    }
  }

  /** Waits for events. @returns their number */
  private wait(): number {
    const sys = this.sys;
    const events = this.address + this.events;
    let count: number;
    if (this.hasWork() || !this.running) {
      count = sys.epoll_wait(this.epoll, events, MAX_EVENTS, 0);
    } else {
      count = this.waitUntil(events, this.nextWakeUs());
    }
    if (count >= 0) return count;
    const errno = sys.errno();
    if (errno !== EINTR) throw new SystemError('epoll_wait', errno, 'Cannot wait for events');
    this.wantsHop = true;
    return 0;
  }

  /** When to stop sleeping and begin to poll for what is due at `wakeUs`; the same answer each time for one `wakeUs`. */
  private pollingFrom(wakeUs: number, now: number): number {
    if (wakeUs !== this.pollWakeUs) {
      this.pollWakeUs = wakeUs;
      this.pollFromUs = wakeUs - Math.min(POLL_US_MAX, POLL_SHARE * (wakeUs - now));
    }
    return this.pollFromUs;
  }

  private waitUntil(events: number, wakeUs: number): number {
    const sys = this.sys;
    let waitMs = this.hopMs;
    if (wakeUs !== Number.POSITIVE_INFINITY) {
      const now = nowUs();
      waitMs = ((this.pollsBeforeDeadline ? this.pollingFrom(wakeUs, now) : wakeUs) - now) / 1000;
      if (waitMs <= 0) return sys.epoll_wait(this.epoll, events, MAX_EVENTS, 0);
      if (waitMs > this.hopMs) waitMs = this.hopMs;
    }
    if (waitMs === this.hopMs || sys.epoll_pwait2 === null) {
      return sys.epoll_wait(this.epoll, events, MAX_EVENTS, sys.epoll_pwait2 === null ? Math.floor(waitMs) : waitMs);
    }
    if (!this.tight) {
      this.tight = true;
      tightenTimers();
    }
    const view = this.memory.view;
    view.setUint32(this.small, 0, true);
    view.setUint32(this.small + 4, 0, true);
    view.setUint32(this.small + 8, Math.ceil(waitMs * 1e6), true);
    view.setUint32(this.small + 12, 0, true);
    return sys.epoll_pwait2(this.epoll, events, MAX_EVENTS, this.address + this.small, 0, 8);
  }

  protected wantTurn(): void {
    // Callbacks run in this loop's own thread, between waits: `hasWork` keeps the next wait from sleeping.
  }

  // Output

  protected send(conn: number): void {
    const output = this.output;
    const sys = this.sys;
    const fd = this.fds[conn];
    for (let round = 0; output.bytes[conn] > 0; round++) {
      if (round === MAX_WRITES) {
        this.block(conn);
        return;
      }
      const head = output.head[conn];
      const sent = output.sent[head];
      let wanted = output.used[head] - sent;
      let count: number;
      this.counters.writes++;
      if (output.next[head] < 0) {
        count = sys.write(fd, this.address + output.base[head] + sent, wanted);
      } else {
        const ranges = this.fillIov(head);
        wanted = this.iovBytes;
        count = sys.writev(fd, this.address + this.iov, ranges);
      }
      if (count < 0) {
        const errno = sys.errno();
        if (errno === EINTR) continue;
        if (errno === EAGAIN) this.block(conn);
        else this.fail(conn, errno);
        return;
      }
      this.counters.bytesOut += count;
      output.advance(conn, count);
      if (count < wanted) {
        this.block(conn);
        return;
      }
    }
    // Ranges that were reserved but never filled.
    if (output.head[conn] >= 0) output.advance(conn, 0);
    if ((this.interest[conn] & EPOLLOUT) !== 0) this.setInterest(conn, this.interest[conn] & ~EPOLLOUT);
  }

  private iovBytes = 0;

  private fillIov(head: number): number {
    const output = this.output;
    const u32 = this.memory.u32;
    let at = this.iov >>> 2;
    let count = 0;
    let bytes = 0;
    for (let range = head; range >= 0 && count < MAX_IOV; range = output.next[range]) {
      const length = output.used[range] - output.sent[range];
      if (length === 0) continue;
      const address = this.address + output.base[range] + output.sent[range];
      u32[at] = address % 4294967296;
      u32[at + 1] = address / 4294967296;
      u32[at + 2] = length;
      u32[at + 3] = 0;
      at += 4;
      bytes += length;
      count++;
    }
    this.iovBytes = bytes;
    return count;
  }

  private block(conn: number): void {
    this.blocked[conn] = 1;
    // A detached socket has hung up; the write that comes next tells.
    if (this.interest[conn] !== DETACHED) this.setInterest(conn, this.interest[conn] | EPOLLOUT);
  }

  // Registration

  protected readingChanged(conn: number): void {
    // Input is switched off lazily, when it is reported: most pauses end before.
    if (this.state[conn] !== OPEN || this.paused[conn] !== 0) return;
    const interest = this.interest[conn];
    if (interest === DETACHED) {
      this.interest[conn] = this.blocked[conn] === 1 ? EPOLLIN | EPOLLOUT : EPOLLIN;
      this.control(CTL_ADD, this.fds[conn], this.interest[conn], conn);
    } else if ((interest & EPOLLIN) === 0) this.setInterest(conn, interest | EPOLLIN);
  }

  private setInterest(conn: number, interest: number): void {
    if (this.interest[conn] === interest) return;
    this.interest[conn] = interest;
    this.control(CTL_MOD, this.fds[conn], interest, conn);
  }

  private control(operation: number, fd: number, events: number, tag: number): void {
    const u32 = this.memory.u32;
    const at = this.small >>> 2;
    u32[at] = events;
    u32[at + 1] = EVENT_DATA === 4 ? tag : 0;
    u32[at + 2] = EVENT_DATA === 4 ? 0 : tag;
    u32[at + 3] = 0;
    const result = this.sys.epoll_ctl(this.epoll, operation, fd, this.address + this.small);
    this.check('epoll_ctl', result, `Cannot watch descriptor ${fd}`);
  }

  protected release(conn: number): void {
    const fd = this.fds[conn];
    if (fd < 0) return;
    const taken = this.leaving.get(conn);
    if (taken !== undefined && this.reason[conn] === MOVED) this.letGo(conn, fd, taken);
    // Closing takes it out of the poll set as well: no other descriptor refers to the same socket.
    else if (this.datagramSlots.has(conn)) this.releaseDatagrams(conn, fd);
    else this.sys.close(fd);
    this.leaving.delete(conn);
    this.fds[conn] = -1;
    this.targets.delete(conn);
  }

  private releaseDatagrams(conn: number, fd: number): void {
    this.datagrams.forget(fd);
    // Other descriptors may refer to the same socket, so closing this one does not take it out of the poll set.
    this.control(CTL_DEL, fd, 0, TAG_DATAGRAMS + conn);
    this.sys.close(fd);
    this.datagramSlots.delete(conn);
  }

  protected growTables(slots: number): void {
    this.fds = copyInto(new Int32Array(slots).fill(-1), this.fds);
    this.interest = copyInto(new Uint8Array(slots), this.interest);
  }

  protected closeSystem(): void {
    this.sys.close(this.waker.fd);
    this.sys.close(this.epoll);
    this.allocator.free(this.events);
    if (this.innerEvents !== 0) this.allocator.free(this.innerEvents);
    this.allocator.free(this.iov);
    this.sockets.destroy();
    this.datagrams.destroy();
    this.allocator.free(this.small);
  }

  private check(syscall: string, result: number, what: string): number {
    if (result < 0) throw new SystemError(syscall, this.sys.errno(), what);
    return result;
  }
}

/** Marks a connection that is not in the poll set. */
const DETACHED = 0x80;
