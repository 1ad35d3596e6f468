/**
 * The event loop over Node's own sockets (libuv): for machines where system calls cannot be made, and to measure what
 * `node:net` costs. Same table, buffers and order of a turn as the epoll loop; bytes are copied between Node's buffers and the arena.
 */
import type dgram from 'node:dgram';
import { chmodSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import type { Allocator } from '../ports.ts';
import { CONNECTING, ConnectionLoop, OPEN } from './connection-loop.ts';
import type { EventLoopOptions, Listener, TlsSettings, Waker } from './event-loop.ts';
import { bindDatagrams, datagramDescriptor, sendDatagram } from './libuv-datagrams.ts';
import { nowUs } from './now.ts';
import { removeStaleSocket } from './stale-socket.ts';
import { errnoOf, fromNodeError } from './system-error.ts';

/** Bytes handed to a socket at a time: what is in Node's hands cannot be taken back when a connection is closed. */
const MAX_WRITE_BYTES = 262_144;
/** Node's timers count whole milliseconds: nearer moments are waited for turn by turn. */
const MIN_TIMEOUT_MS = 1.5;
/** A Unix socket whose backlog is full is tried again after this. */
const CONNECT_RETRY_MS = 2;
const MAX_TIMEOUT_MS = 2 ** 31 - 1;
/** More than a datagram can have. */
const DATAGRAM_BYTES_MAX = 65_536;

interface LibuvListener extends Listener {
  server: net.Server;
  unix: boolean;
}

export function createLibuvLoop(allocator: Allocator, options?: EventLoopOptions): LibuvLoop {
  return new LibuvLoop(allocator, options);
}

export class LibuvLoop extends ConnectionLoop {
  readonly name = 'libuv' as const;
  readonly waker: Waker = { fd: -1, cell: new Int32Array(new SharedArrayBuffer(4)) };
  private readonly sockets: (net.Socket | null)[] = [];
  /** Input that Node has read but the core does not want yet. */
  private readonly held: (Buffer | null)[] = [];
  private readonly targets: string[] = [];
  private readonly listeners: LibuvListener[] = [];
  /** Sockets for datagrams by slot; the buffer in the arena that they share; whose datagram is being served. */
  private readonly datagramSockets = new Map<number, dgram.Socket>();
  private datagramAt = 0;
  private datagramFrom: dgram.RemoteInfo | null = null;
  /** Events that came while the loop did not run. */
  private early: (() => void)[] = [];
  private unheld: number[] = [];
  private readonly endsLater = new Set<net.Socket>();
  private immediate: NodeJS.Immediate | null = null;
  private timeout: NodeJS.Timeout | null = null;
  private timeoutDueUs = Number.POSITIVE_INFINITY;
  private finished: (() => void) | null = null;
  private destroyed = false;

  constructor(allocator: Allocator, options?: EventLoopOptions) {
    super(allocator, options);
    this.awaitWake();
  }

  // Listening

  listenTcp(host: string, port: number, backlog: number): Promise<Listener> {
    const literal = literalOf(host);
    return this.listen(host, { host: literal, port, backlog, ipv6Only: true }, `Cannot listen on ${host}:${port}`);
  }

  async listenUnix(path: string, backlog: number, mode: number): Promise<Listener> {
    removeStaleSocket(path);
    const listener = await this.listen(path, { path, backlog }, `Cannot listen on Unix socket ${path}`);
    if (mode !== 0) chmodSync(path, mode);
    return listener;
  }

  onTlsError: ((reason: string, peer: string) => void) | null = null;

  listenTls(host: string, port: number, backlog: number, settings: TlsSettings): Promise<Listener> {
    const literal = literalOf(host);
    const server = tls.createServer({
      ...contextOptions(settings),
      allowHalfOpen: true,
      noDelay: true,
      requestCert: settings.clients !== 'no',
      rejectUnauthorized: settings.clients === 'yes',
    });
    server.on('tlsClientError', (error, socket) => {
      this.onTlsError?.(error.message, `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`);
    });
    const options = { host: literal, port, backlog, ipv6Only: true };
    return this.listen(host, options, `Cannot listen on ${host}:${port}`, server);
  }

  renewTls(settings: TlsSettings): void {
    for (const { server } of this.listeners) {
      if (server instanceof tls.Server) server.setSecureContext(contextOptions(settings));
    }
  }

  private listen(
    address: string,
    options: net.ListenOptions,
    what: string,
    server: net.Server = net.createServer({ allowHalfOpen: true, noDelay: true }),
  ): Promise<Listener> {
    const unix = options.path !== undefined;
    return new Promise((resolve, reject) => {
      server.once('error', (error) => reject(fromNodeError(error, what)));
      server.listen(options, () => {
        const port = unix ? 0 : (server.address() as net.AddressInfo).port;
        const listener: LibuvListener = { id: this.listeners.length, server, address, port, unix };
        this.listeners.push(listener);
        server.removeAllListeners('error');
        // EMFILE and the like: Node itself backs off.
        server.on('error', () => {});
        const accepted = server instanceof tls.Server ? 'secureConnection' : 'connection';
        server.on(accepted, (socket: net.Socket) => this.inTurn(() => this.accept(listener, socket)));
        resolve(listener);
      });
    });
  }

  async listenUdp(host: string, port: number): Promise<Listener> {
    const { socket, port: bound } = await bindDatagrams(literalOf(host), port);
    const listener = { id: this.datagramSockets.size, address: host, port: bound };
    if (this.datagramAt === 0) this.datagramAt = this.allocator.alloc(DATAGRAM_BYTES_MAX);
    const conn = this.datagramAt === 0 ? -1 : this.takeSlot(OPEN, -1);
    if (conn < 0) {
      socket.close();
      throw new Error(`Cannot receive datagrams on ${host}:${port}: the table of connections or the arena is full`);
    }
    this.sockets[conn] = null;
    this.datagramSockets.set(conn, socket);
    socket.on('message', (bytes, from) => this.inTurn(() => this.takeDatagram(conn, socket, bytes, from)));
    this.handler.onDatagramSocket?.(conn, listener.id);
    return listener;
  }

  private takeDatagram(conn: number, socket: dgram.Socket, bytes: Buffer, from: dgram.RemoteInfo): void {
    if (this.datagramSockets.get(conn) !== socket) return;
    this.counters.reads++;
    this.counters.bytesIn += bytes.length;
    this.memory.u8.set(bytes, this.datagramAt);
    this.datagramFrom = from;
    this.handler.onDatagram?.(conn, this.datagramAt, this.datagramAt + bytes.length);
    this.datagramFrom = null;
  }

  sendDatagram(conn: number, offset: number, length: number): void {
    const socket = this.datagramSockets.get(conn);
    if (socket === undefined || this.datagramFrom === null) return;
    this.counters.writes++;
    this.counters.bytesOut += sendDatagram(this.memory, socket, this.datagramFrom, offset, length);
  }

  closeListeners(): void {
    for (const listener of this.listeners) {
      if (listener.server.listening) listener.server.close();
      if (listener.unix) removeStaleSocket(listener.address);
    }
  }

  /** Node cannot leave connections waiting: those that are too many have been refused. */
  acceptAgain(): void {}

  private accept(listener: LibuvListener, socket: net.Socket): void {
    if (socket.destroyed) return;
    if (socket instanceof tls.TLSSocket && hasBadCertificate(socket)) {
      this.onTlsError?.(String(socket.authorizationError), `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`);
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    const isFull = this.connectionCount >= this.maxConnections || this.isFull?.() === true;
    const conn = !isFull ? this.takeSlot(OPEN, listener.id) : -1;
    if (conn < 0) {
      const bytes = this.refusal();
      socket.on('error', () => {});
      if (bytes !== null && bytes.length > 0) socket.write(Buffer.from(bytes), () => socket.destroy());
      else socket.destroy();
      return;
    }
    this.counters.accepted++;
    if (this.tcpKeepAliveSeconds > 0 && !listener.unix) socket.setKeepAlive(true, this.tcpKeepAliveSeconds * 1000);
    this.attach(conn, socket);
    this.handler.onOpen(conn, listener.id);
  }

  private attach(conn: number, socket: net.Socket): void {
    this.sockets[conn] = socket;
    this.held[conn] = null;
    const mine = (): boolean => this.sockets[conn] === socket;
    socket.on('data', (data: Buffer) => this.inTurn(() => mine() && this.feed(conn, data)));
    socket.on('end', () =>
      this.inTurn(() => {
        if (!mine() || this.state[conn] !== OPEN) return;
        // Node tells the end of a paused socket too, but what came before has not been handed over.
        if (this.paused[conn] !== 0) this.endsLater.add(socket);
        else this.ended(conn);
      }),
    );
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const errno = Math.abs(error.errno ?? 0) || errnoOf(error.code);
      if (error.code === 'EAGAIN' && mine() && this.state[conn] === CONNECTING) this.retryConnect(conn, socket);
      else this.inTurn(() => mine() && this.fail(conn, errno));
    });
    socket.on('close', () => this.inTurn(() => mine() && this.fail(conn, 0)));
  }

  // Connecting

  connectTcp(host: string, port: number): number {
    const literal = literalOf(host);
    const conn = this.takeOwnSlot(`Cannot connect to ${host}:${port}`);
    return this.startConnect(conn, net.connect({ host: literal, port, allowHalfOpen: true, noDelay: true }), '');
  }

  connectUnix(path: string): number {
    const conn = this.takeOwnSlot(`Cannot connect to Unix socket ${path}`);
    return this.startConnect(conn, net.connect({ path, allowHalfOpen: true }), path);
  }

  private startConnect(conn: number, socket: net.Socket, target: string): number {
    this.targets[conn] = target;
    this.attach(conn, socket);
    socket.once('connect', () =>
      this.inTurn(() => {
        if (this.sockets[conn] === socket && this.state[conn] === CONNECTING) this.established(conn);
      }),
    );
    return conn;
  }

  /** The backlog of a Unix socket is full: its server needs a moment to accept. */
  private retryConnect(conn: number, failed: net.Socket): void {
    const path = this.targets[conn]!;
    this.sockets[conn] = null;
    failed.destroy();
    this.addTimer(CONNECT_RETRY_MS, () => {
      if (this.state[conn] === CONNECTING && this.sockets[conn] === null && this.targets[conn] === path) {
        this.startConnect(conn, net.connect({ path, allowHalfOpen: true }), path);
      }
      return -1;
    });
  }

  // Names

  peerName(conn: number): string {
    const socket = this.sockets[conn];
    return this.nameOf(conn, socket?.remoteAddress, socket?.remotePort);
  }

  localName(conn: number): string {
    const datagrams = this.datagramSockets.get(conn)?.address();
    if (datagrams !== undefined) return formatName(datagrams.address, datagrams.port);
    const socket = this.sockets[conn];
    return this.nameOf(conn, socket?.localAddress, socket?.localPort);
  }

  private nameOf(conn: number, address: string | undefined, port: number | undefined): string {
    const origin = this.origin[conn];
    if (origin >= 0 && this.listeners[origin]!.unix) return `${this.listeners[origin]!.address}:0`;
    if (origin < 0 && this.targets[conn]) return `${this.targets[conn]}:0`;
    if (address === undefined) return '?:0';
    return formatName(address, port);
  }

  descriptor(conn: number): number {
    const datagrams = this.datagramSockets.get(conn);
    if (datagrams !== undefined) return datagramDescriptor(datagrams);
    const handle = (this.sockets[conn] as unknown as { _handle?: { fd?: number } } | null)?._handle;
    return handle?.fd ?? -1;
  }

  // Input

  private feed(conn: number, data: Buffer): void {
    this.counters.reads++;
    const u8 = this.memory.u8;
    let at = 0;
    while (at < data.length && this.state[conn] === OPEN) {
      if (this.paused[conn] !== 0) {
        this.held[conn] = at === 0 ? data : data.subarray(at);
        return;
      }
      if (!this.prepareRead(conn)) return;
      const count = Math.min(this.input.readRoom, data.length - at);
      u8.set(count === data.length ? data : data.subarray(at, at + count), this.input.readAt);
      at += count;
      this.received(conn, count);
    }
  }

  protected readingChanged(conn: number): void {
    const socket = this.sockets[conn];
    if (socket === null || socket === undefined) return;
    if (this.state[conn] !== OPEN || this.paused[conn] !== 0) socket.pause();
    else if (this.held[conn] === null) socket.resume();
    else {
      this.unheld.push(conn);
      this.wantTurn();
    }
  }

  private feedUnheld(): void {
    const unheld = this.unheld;
    this.unheld = [];
    for (const conn of unheld) {
      const data = this.held[conn];
      if (data === null || data === undefined || this.state[conn] !== OPEN || this.paused[conn] !== 0) continue;
      this.held[conn] = null;
      this.feed(conn, data);
      if (this.held[conn] === null && this.state[conn] === OPEN && this.paused[conn] === 0) {
        this.sockets[conn]?.resume();
      }
    }
  }

  // Output

  protected send(conn: number): void {
    const socket = this.sockets[conn]!;
    const output = this.output;
    if (output.bytes[conn] === 0) {
      if (output.head[conn] >= 0) output.advance(conn, 0);
      return;
    }
    const data = this.gather(conn);
    this.counters.writes++;
    const written = (): void => {
      if (this.sockets[conn] !== socket) return;
      this.counters.bytesOut += data.length;
      output.advance(conn, data.length);
      this.writable(conn);
    };
    this.blocked[conn] = 1;
    let waits = true;
    socket.write(data, (error) => {
      if (waits && !error) this.inTurn(written);
    });
    if (socket.writableLength === 0 && !socket.destroyed) {
      // The system took it all at once.
      waits = false;
      this.blocked[conn] = 0;
      this.counters.bytesOut += data.length;
      output.advance(conn, data.length);
      if (output.bytes[conn] > 0) this.writable(conn);
    }
  }

  private gather(conn: number): Buffer {
    const data = Buffer.allocUnsafe(Math.min(this.output.bytes[conn], MAX_WRITE_BYTES));
    this.output.copyTo(conn, this.memory.u8, data);
    return data;
  }

  protected release(conn: number): void {
    const datagrams = this.datagramSockets.get(conn);
    if (datagrams !== undefined) {
      this.datagramSockets.delete(conn);
      datagrams.close();
      return;
    }
    const socket = this.sockets[conn];
    this.sockets[conn] = null;
    this.held[conn] = null;
    this.targets[conn] = '';
    // TLS has a farewell, without which the peer cannot tell an end from a cut. Nothing may be waiting before it.
    if (socket instanceof tls.TLSSocket && socket.writableLength === 0) socket.destroySoon();
    else socket?.destroy();
  }

  // Turns

  run(): Promise<void> {
    if (this.running) throw new Error('Cannot run an event loop that is running');
    this.running = true;
    return new Promise((resolve) => {
      // A loop without listeners and connections waits for its timers and wake-ups nevertheless.
      const alive = setInterval(() => {}, MAX_TIMEOUT_MS);
      this.finished = () => {
        clearInterval(alive);
        resolve();
      };
      this.wantTurn();
    });
  }

  /** Runs one event of Node's as part of the coming turn; while the loop does not run it is put off. */
  private inTurn(event: () => void): void {
    if (this.destroyed) return;
    if (this.running) event();
    else this.early.push(event);
    this.wantTurn();
  }

  protected wantTurn(): void {
    if (this.finished === null || this.immediate !== null || this.destroyed) return;
    this.immediate = setImmediate(() => {
      this.immediate = null;
      this.turn();
    });
  }

  private turn(): void {
    this.turnUs = nowUs();
    if (this.running && this.early.length > 0) {
      const early = this.early;
      this.early = [];
      for (const event of early) event();
    }
    this.finishTurn();
    if (!this.running) {
      this.finished?.();
      this.finished = null;
      return;
    }
    if (this.hasWork()) this.wantTurn();
    this.timesChanged();
  }

  protected override handOverResumed(): void {
    super.handOverResumed();
    if (this.unheld.length > 0) this.feedUnheld();
    if (this.endsLater.size > 0) this.endDrained();
  }

  /** Ends the connections whose peers have ended while they were paused, and whose input is handed over by now. */
  private endDrained(): void {
    for (const socket of this.endsLater) {
      const conn = this.sockets.indexOf(socket);
      if (conn >= 0 && this.state[conn] === OPEN && (this.paused[conn] !== 0 || this.held[conn] !== null)) continue;
      this.endsLater.delete(socket);
      if (conn >= 0 && this.state[conn] === OPEN) this.ended(conn);
    }
  }

  protected override timesChanged(): void {
    if (!this.running) return;
    const dueUs = this.nextWakeUs();
    if (this.timeout !== null) {
      if (this.timeoutDueUs === dueUs) return;
      clearTimeout(this.timeout);
      this.timeout = null;
    }
    if (dueUs === Number.POSITIVE_INFINITY) return;
    const delayMs = (dueUs - nowUs()) / 1000;
    if (delayMs < MIN_TIMEOUT_MS) {
      this.wantTurn();
      return;
    }
    this.timeoutDueUs = dueUs;
    this.timeout = setTimeout(
      () => {
        this.timeout = null;
        this.wantTurn();
      },
      Math.min(Math.floor(delayMs), MAX_TIMEOUT_MS),
    );
  }

  private awaitWake(): void {
    const cell = this.waker.cell!;
    const wait = (seen: number): void => {
      const result = Atomics.waitAsync(cell, 0, seen);
      const again = (): void => {
        if (this.destroyed) return;
        this.inTurn(() => this.onWake?.());
        wait(Atomics.load(cell, 0));
      };
      if (result.async) result.value.then(again);
      else again();
    };
    wait(0);
  }

  protected growTables(): void {
    // The tables here are plain arrays that grow by themselves.
  }

  protected closeSystem(): void {
    this.destroyed = true;
    if (this.datagramAt !== 0) this.allocator.free(this.datagramAt);
    this.datagramAt = 0;
    if (this.timeout !== null) clearTimeout(this.timeout);
    if (this.immediate !== null) clearImmediate(this.immediate);
    // Ends the pending wait, which would otherwise live as long as the process.
    Atomics.notify(this.waker.cell!, 0);
    this.finished?.();
    this.finished = null;
  }
}

function formatName(address: string, port: number | undefined): string {
  return net.isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
}

/** @returns the IP literal; other names are refused, as in the epoll loop */
function literalOf(host: string): string {
  if (host === 'localhost') return '127.0.0.1';
  if (net.isIP(host) === 0) throw new Error(`Cannot use address "${host}": it is neither an IPv4 nor an IPv6 literal`);
  return host;
}

function contextOptions(settings: TlsSettings): tls.SecureContextOptions {
  return {
    cert: settings.cert,
    key: settings.key,
    ...(settings.passphrase === '' ? {} : { passphrase: settings.passphrase }),
    ...(settings.ca.length === 0 ? {} : { ca: [...settings.ca] }),
    ...(settings.ciphers === '' ? {} : { ciphers: settings.ciphers }),
    ...(settings.dhparam === '' ? {} : { dhparam: settings.dhparam }),
    honorCipherOrder: settings.preferServerCiphers,
    minVersion: settings.minVersion,
    maxVersion: settings.maxVersion,
    secureOptions: settings.secureOptions,
    sessionTimeout: settings.sessionTimeoutSeconds,
  };
}

/** Whether a client showed a certificate although it need not, and a bad one. Where it must, the handshake has failed before. */
function hasBadCertificate(socket: tls.TLSSocket): boolean {
  if (socket.authorized) return false;
  const shown = socket.getPeerCertificate();
  return shown !== null && Object.keys(shown).length > 0;
}
