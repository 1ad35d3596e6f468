/**
 * The interfaces that a core is given. Types only: no room's code stands behind them here, so that the same core
 * runs on sockets (engines/io), on an in-process driver and under virtual time (harness/simulate).
 *
 * Conventions of all of them:
 * - An *offset* is a byte position in `Memory.u8`. It is a non-negative integer below 2^32. 0 is never a valid allocation,
 *   so it serves as the null pointer, also in stored structs (a pointer field is 8 bytes wide as in the original,
 *   its low 4 bytes hold the offset, little-endian).
 * - A *conn* is a small integer: the slot of a connection in the loop's tables. Slots are reused after `onClose`.
 */

/** Reads time. A virtual clock implements it as well as the machine's. */
export interface Clock {
  /** Wall-clock time in whole milliseconds since the Unix epoch. */
  wallMs(): number;
  /** Monotonic time in microseconds (a fraction is allowed), from an arbitrary start. */
  monoUs(): number;
}

/** A seeded source of uniform random numbers. */
export interface Random {
  /** A uniform integer in [0, 2^32). */
  nextU32(): number;
  /** A uniform number in [0, 1) with 53 random bits. */
  nextFloat(): number;
  /** A uniform integer in [0, bound), 1 <= bound <= 2^32. */
  nextBelow(bound: number): number;
}

/**
 * The arena: one SharedArrayBuffer and its views. Every view covers the whole buffer; an index is
 * `offset >>> 1` for u16, `offset >>> 2` for u32, i32 and f32, `offset / 8` (an aligned offset) for f64 and i64.
 */
export interface Memory {
  readonly buffer: SharedArrayBuffer;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  readonly i64: BigInt64Array;
  readonly view: DataView;
  /** Moves `length` bytes within the arena as fast as the platform can; the ranges may overlap. */
  readonly moveBytes: (from: number, to: number, length: number) => void;
  /** Size of the arena in bytes. */
  readonly byteLength: number;
  /** Address of offset 0 in this process as a number, or 0 where the platform does not tell (then nothing may use raw addresses). */
  readonly address: number;
  /**
   * Takes a run of pages from the arena. Content is zero if never used before.
   * @param pages number of 4,096-byte pages, at least 1
   * @param alignPages alignment in pages (a power of two), 1 if left out
   * @returns the offset of the first page, or 0 if the arena has no such run left
   */
  takePages(pages: number, alignPages?: number): number;
  /** Gives a run of pages back to the arena (their content may be anything afterwards). */
  givePages(offset: number, pages: number): void;
  /**
   * Returns the physical pages under a run to the system: their content reads as zero afterwards.
   * @returns whether the system took them (false without raw addresses: content is then unchanged).
   */
  purge(offset: number, pages: number): boolean;
}

/** A general allocator over a Memory (jemalloc's size classes in engines/memory). */
export interface Allocator {
  readonly memory: Memory;
  /**
   * @param bytes at least 1
   * @returns the offset, 8-byte aligned at least, or 0 when the arena is exhausted. Content is undefined.
   */
  alloc(bytes: number): number;
  /** Frees what alloc returned. Freeing 0 does nothing; freeing anything else that is not allocated throws. */
  free(offset: number): void;
  /** The usable size in bytes of an allocation: its size class. */
  usableSize(offset: number): number;
  /** The size class that `bytes` would get, without allocating. */
  sizeClass(bytes: number): number;
  /**
   * Moves an allocation out of a sparse slab, where that would help to empty it: its content is copied, the old place is freed.
   * Absent where the allocator cannot.
   * @returns the new offset, or 0 when it stays where it is
   */
  moveIfSparse?(offset: number): number;
  /** Whether moveIfSparse is to be used: the build that the allocator stands for has active defragmentation. */
  readonly canDefrag?: boolean;
  /** Sum of usable sizes of all live allocations: what the original's zmalloc_used_memory() returns. */
  readonly usedBytes: number;
}

/**
 * What a core may ask of the loop that carries its connections. All bytes live in `memory`.
 *
 * Output: `reserve` room, store bytes, `commit` the end. Nothing is sent before the loop's turn ends (after
 * `ConnectionHandler.onTurn`), so replies never leave before the effects of the turn are settled. The bytes of one connection leave in
 * the order of commit and lend.
 */
export interface Transport {
  readonly memory: Memory;
  /**
   * Makes sure that at least `bytes` contiguous bytes can be stored for this connection's output.
   * @returns the offset where the next output byte goes. Valid until the next call on this transport for this connection.
   *   A closed connection gets a sink: storing there is harmless. Returns 0 if memory is exhausted.
   */
  reserve(conn: number, bytes: number): number;
  /** Declares that output has been stored from the offset last reserved up to `end` (exclusive). */
  commit(conn: number, end: number): void;
  /**
   * Queues arena bytes for output without copying them. The core must leave them in place and unchanged until
   * `ConnectionHandler.onReleased(lease)`, which comes exactly once, also if the connection dies first.
   */
  lend(conn: number, offset: number, length: number, lease: number): void;
  /** Bytes of output that are waiting (committed and lent, not yet taken by the system). */
  outputBytes(conn: number): number;
  /** Memory in bytes that output chunks of this connection hold (lent bytes count by their length). */
  outputMemory(conn: number): number;
  /** Number of output chunks beyond the first (the original's reply list length, `oll`). */
  outputChunks(conn: number): number;
  /** Bytes of input kept for this connection because its command is incomplete. */
  inputBytes(conn: number): number;
  /** Capacity in bytes of the input buffer that this connection holds of its own (0 while it reads through the shared one). */
  inputCapacity(conn: number): number;
  /**
   * The next `length` bytes of input go straight to `offset`; afterwards `onDirect` is called. Only from inside
   * onInput or onDirect, and onInput must then return `end` (all of its bytes consumed).
   */
  readInto(conn: number, offset: number, length: number): void;
  /** Stops reading from and handing input of this connection to the core, until `resume`. Kept input stays. */
  pause(conn: number): void;
  /** Ends a pause; kept input is handed over again at the latest in the next turn. */
  resume(conn: number): void;
  /**
   * Only from inside onInput: it is the other connections' turn. What onInput leaves of its input is handed over again after they have been
   * served, without waiting for more.
   */
  yieldTurn(conn: number): void;
  /**
   * Closes a connection. `onClose` follows, at the earliest after the present callback has returned.
   * @param afterOutput true: first sends what is waiting (no more input is read); false: at once.
   */
  close(conn: number, afterOutput: boolean): void;
  /** The peer's address as the original prints it: "127.0.0.1:53211", "[::1]:53211", or for a Unix socket "PATH:0". */
  peerName(conn: number): string;
  /** The local address in the same form. */
  localName(conn: number): string;
  /** The connection's file descriptor, or -1 where there is none. */
  descriptor(conn: number): number;
  /**
   * Only within onDatagram: sends arena bytes as one datagram to the sender of the present one. They may change as soon as it returns. What the
   * system does not take at once waits in a queue of bounded size, beyond which datagrams are lost, as they may be anywhere.
   */
  sendDatagram?(conn: number, offset: number, length: number): void;
}

/** What a loop calls: implemented by a core (server side) or a load driver (client side). */
export interface ConnectionHandler {
  /** A connection was accepted, or one that we opened is established. */
  onOpen(conn: number, listener: number): void;
  /**
   * Input has arrived: bytes [start, end) of `memory.u8`, always beginning at the first byte that was not consumed before.
   * @returns the offset of the first byte not consumed. The loop keeps the rest and hands it over again together with what follows.
   *   Returning `start` with more input wanted makes the loop grow the connection's input buffer as needed.
   *   The bytes may be overwritten in place by the handler.
   */
  onInput(conn: number, start: number, end: number): number;
  /** A direct read (`readInto`) is complete. */
  onDirect(conn: number): void;
  /** The peer or we closed; `reason` is an errno (0: clean end). The slot is reused afterwards. An open attempt that failed comes here without onOpen. */
  onClose(conn: number, reason: number): void;
  /** Bytes lent with this lease are no longer needed. */
  onReleased(lease: number): void;
  /** A socket for datagrams is served from now on. It holds a slot like a connection, until its onClose, but has no input or output of its own. */
  onDatagramSocket?(conn: number, listener: number): void;
  /** A datagram has come: bytes [start, end) of `memory.u8`, valid until the return and free to be changed. */
  onDatagram?(conn: number, start: number, end: number): void;
  /** All ready connections of this turn have been served, before their output leaves. */
  onTurn(): void;
}

/** An open file, by number. */
export type FileHandle = number;

/** What a file is opened for: reading; writing from the start, emptied or new; writing behind its end. */
export type OpenMode = 'read' | 'write' | 'append';

/**
 * Blocking file access, handed in so that faults can be injected. Errors throw an Error with `code` (ENOSPC …). Bytes come from and go to
 * arrays over the arena as well.
 */
export interface Disk {
  /** Reads a whole file as bytes; throws with code ENOENT when there is none. */
  readFile(path: string): Uint8Array;
  /** Replaces a file whole: written beside, synced, renamed. */
  replaceFile(path: string, bytes: Uint8Array): void;
  exists(path: string): boolean;
  remove(path: string): void;
  open(path: string, mode: OpenMode): FileHandle;
  /** Reads up to `length` bytes on from where the last read ended. @returns how many, 0 at the end */
  read(file: FileHandle, bytes: Uint8Array, offset: number, length: number): number;
  /** Writes up to `length` bytes behind those before. @returns how many: it may be fewer */
  write(file: FileHandle, bytes: Uint8Array, offset: number, length: number): number;
  /** Bytes reach the device before it returns. */
  sync(file: FileHandle): void;
  /** Length of an open file in bytes. */
  size(file: FileHandle): number;
  /** Cuts an open file off behind `length` bytes. */
  truncate(file: FileHandle, length: number): void;
  close(file: FileHandle): void;
  rename(from: string, to: string): void;
  /** Names of the files of a folder; empty when there is no such folder. */
  list(folder: string): string[];
  /** Makes a folder unless it is there. */
  makeFolder(path: string): void;
  /** What was renamed or removed in a folder is so after a crash too. */
  syncFolder(path: string): void;
}
