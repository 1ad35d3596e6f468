/**
 * The interface of every event loop (epoll, libuv; later io_uring, poll). Composition code and load drivers use
 * this; cores only see its `Transport` half.
 */
import type { Allocator, ConnectionHandler, Transport } from '../ports.ts';

export type EventLoopName = 'epoll' | 'libuv';

/** Named bounds of a loop; all have defaults. Sizes in bytes. */
export interface EventLoopOptions {
  /** Connections held at the most; further ones are accepted and given to `onRefused`. Default 10,000. */
  maxConnections?: number;
  /** Size of the shared read buffer. Default 65,536. */
  readBufferBytes?: number;
  /** Size of one output chunk. Default 16,384. */
  outputChunkBytes?: number;
  /** An input buffer may not grow beyond this: the connection is closed. Default 1 GiB. */
  inputLimitBytes?: number;
  /** Seconds of silence after which TCP probes an accepted connection's peer; 0 (the default): never. */
  tcpKeepAliveSeconds?: number;
  /**
   * Whether a peer that has ended its side (and may still read) gets what waits for it, as memcached does it, before the connection is closed.
   * Default: no, it is closed at once, as redis-server does it.
   */
  sendsAfterEnd?: boolean;
  /**
   * Whole milliseconds after which the epoll loop lets libuv have a turn at the latest. Node's own timers are late by up to as much
   * (signals and its sockets are not, in the main thread). Default 100.
   */
  hopMs?: number;
}

/** A place where connections come in. */
export interface Listener {
  /** Index handed to `onOpen`. */
  readonly id: number;
  /** TCP port (the real one if 0 was asked for), or 0 for a Unix socket. */
  readonly port: number;
  /** Host or path. */
  readonly address: string;
}

/** `onClose`'s reason for a connection that was detached: it lives on elsewhere. */
export const MOVED = -1;

/** How a TLS listener proves who it is, and whom it lets in. Texts are the contents of PEM files. */
export interface TlsSettings {
  readonly cert: string;
  readonly key: string;
  /** Of the key; empty: none. */
  readonly passphrase: string;
  /** Certificates of authorities that clients' certificates are checked against; empty: the system's. */
  readonly ca: readonly string[];
  /** Whether clients show certificates: "optional" ones must be good if they are shown. */
  readonly clients: 'no' | 'optional' | 'yes';
  /** In OpenSSL's notation; empty: the usual ones. */
  readonly ciphers: string;
  readonly preferServerCiphers: boolean;
  /** "TLSv1" to "TLSv1.3". */
  readonly minVersion: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
  readonly maxVersion: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
  /** OpenSSL's SSL_OP_… bits. */
  readonly secureOptions: number;
  /** Parameters of Diffie-Hellman; empty: none of our own. */
  readonly dhparam: string;
  readonly sessionTimeoutSeconds: number;
}

/** Lets another thread wake a loop; a plain value that can be posted to a worker. */
export interface Waker {
  /** eventfd of the epoll loop, or -1. */
  readonly fd: number;
  /** One shared cell that the libuv loop waits on (it has no descriptor of its own to write to), or null. */
  readonly cell: Int32Array | null;
}

export interface EventLoop extends Transport {
  readonly name: EventLoopName;
  /** Set exactly once, before the first listener or connection. */
  setHandler(handler: ConnectionHandler): void;
  /**
   * @param host an IPv4 or IPv6 literal
   * @param port 0 picks a free one
   * @throws SystemError (see system-error.ts) with `code` such as EADDRINUSE, EADDRNOTAVAIL, EACCES
   */
  listenTcp(host: string, port: number, backlog: number): Promise<Listener>;
  /** @param mode permission bits of the socket file, or 0 to leave them */
  listenUnix(path: string, backlog: number, mode: number): Promise<Listener>;
  /**
   * Receives datagrams: `onDatagramSocket` follows at once, `onDatagram` for each that comes.
   * @param host an IPv4 or IPv6 literal
   * @param port 0 picks a free one
   * @returns its id counts sockets for datagrams alone
   * @throws SystemError as listenTcp
   */
  listenUdp(host: string, port: number): Promise<Listener>;
  /** Epoll only: binds a socket for datagrams that other threads' loops are to serve. The caller closes it. @throws SystemError */
  bindUdp?(host: string, port: number): { fd: number; port: number; close(): void };
  /** Epoll only: serves such a socket by a descriptor of its own, together with other loops: each datagram comes to one of them. @returns its slot, -1 when the table is full */
  adoptUdp?(fd: number, listener: number): number;
  /**
   * A TCP port where clients speak TLS; `onOpen` follows when the handshake is done. Only the libuv loop has it: its sockets are Node's,
   * and so is their TLS.
   */
  listenTls?(host: string, port: number, backlog: number, settings: TlsSettings): Promise<Listener>;
  /** New certificates, ciphers and versions for handshakes from now on; `clients` stays as it was. @throws Error when they do not fit together */
  renewTls?(settings: TlsSettings): void;
  /** A handshake failed. */
  onTlsError?: ((reason: string, peer: string) => void) | null;
  /** Stops accepting; established connections stay. */
  closeListeners(): void;
  /** Number of open connections. */
  readonly connectionCount: number;
  /**
   * What a connection beyond `maxConnections` is told before it is closed (the bytes are written best-effort). Called for each refused one.
   */
  onRefused: (() => Uint8Array | null) | null;
  /** Asked before each connection is accepted. While it is true they wait in the system's queue; where the loop cannot leave them there (libuv) they are refused. */
  isFull: (() => boolean) | null;
  /** Epoll only: someone waits while `isFull`. No listener is looked at any more until `acceptAgain`. */
  onFull: (() => void) | null;
  /** Listens again after `onFull` has said so. */
  acceptAgain(): void;
  /**
   * Epoll only. Given each accepted descriptor instead of adopting it in this loop, for those who hand it to the loop of another thread.
   * False: it is refused, as one beyond `maxConnections` is.
   */
  onAccepted: ((fd: number, listener: Listener) => boolean) | null;
  /**
   * Epoll only: serves a connected socket that does not block; `onOpen` follows at once.
   * @param listener handed to onOpen
   * @param path of the Unix socket it came in through, empty for TCP
   * @param input what its loop before had read of it and not consumed: handed over in the next turn
   * @returns the connection, or -1 when the table or memory is full (the descriptor is still the caller's)
   */
  adopt?(fd: number, listener: number, path: string, input?: Uint8Array): number;
  /**
   * Epoll only: gives a connection away once what was written for it has been sent. Nothing more is read of it here. `onClose` follows: with MOVED, or
   * if the peer goes away before, with another reason, and then `taken` is not called.
   * @param taken gets the descriptor and the input that was read and not consumed
   */
  detach?(conn: number, taken: (fd: number, input: Uint8Array) => void): void;
  /** See EventLoopOptions; may be changed at any time, for connections accepted from then on. */
  tcpKeepAliveSeconds: number;
  /** See EventLoopOptions; may be raised or lowered at any time, established connections stay. */
  maxConnections: number;
  /** Opens a connection; `onOpen` or `onClose` (with errno) follows from the loop. `listener` is -1 in onOpen. */
  connectTcp(host: string, port: number): number;
  connectUnix(path: string): number;
  /**
   * Calls back once after `delayMs` (fractions allowed). The callback returns the delay in ms until its next call, or -1 to end,
   * as time events of the original do. @returns an id for `cancelTimer`
   */
  addTimer(delayMs: number, callback: () => number): number;
  cancelTimer(id: number): void;
  /** The loop wakes (and calls onTurn) no later than this monotonic time in µs (same clock as `nowUs`); Infinity: none. Drivers use it for open loops. */
  deadlineUs: number;
  /**
   * true: the loop sleeps for only three quarters of the time to its next deadline or timer, at the most 2 ms less than all of it, and polls
   * for the rest. A sleeping thread is woken 0.1 to 5 ms late on an idle virtual machine, which load drivers cannot afford. The libuv loop
   * always polls before a deadline. Default false.
   */
  pollsBeforeDeadline: boolean;
  /** Monotonic time in µs: process.hrtime / performance.now scaled, comparable between threads of one process. */
  nowUs(): number;
  /** For other threads: see `wake` in waker.ts. `onWake` runs in the loop's thread. */
  readonly waker: Waker;
  onWake: (() => void) | null;
  /** Runs until `stop`. The epoll loop blocks its thread but lets libuv have a turn (signals, promises) at least every 100 ms and at once after a signal. */
  run(): Promise<void>;
  /**
   * Only where the loop owns its thread (epoll): serves the other connections once from within a callback that lasts long, without
   * sleeping. Neither timers nor `onTurn` run, and no connection is given back before the turn around it ends.
   * @returns false when the loop was told to stop meanwhile
   */
  serveInside?(): boolean;
  /** Ends `run` after the present turn. */
  stop(): void;
  /** Closes every connection and listener and frees what the loop holds. */
  destroy(): void;
  /** Counters of the system calls and turns since the start, for INFO and reports. */
  readonly counters: LoopCounters;
}

export interface LoopCounters {
  turns: number;
  reads: number;
  writes: number;
  bytesIn: number;
  bytesOut: number;
  accepted: number;
  refused: number;
}

/** Every loop is made by such a function (`createEpollLoop`, `createLibuvLoop`; `createEventLoop(name, …)` picks). */
export type EventLoopFactory = (allocator: Allocator, options?: EventLoopOptions) => EventLoop;
