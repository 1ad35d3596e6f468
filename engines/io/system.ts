/**
 * The system calls of libc, bound once through koffi. Pointers are passed as plain numbers (an address below 2^53), so that
 * no call allocates; whoever calls keeps the memory behind an address alive.
 *
 * Where koffi cannot load, or the platform is not Linux, `systemAvailable()` is false: the libuv loop is used then, and
 * pages are not given back to the system.
 */
import { createRequire } from 'node:module';
import { SystemError } from './system-error.ts';

/** libc calls. All return -1 on failure, with the reason in `errno()`. Addresses and lengths are in bytes. */
export interface SystemCalls {
  epoll_create1(flags: number): number;
  epoll_ctl(epfd: number, op: number, fd: number, event: number): number;
  epoll_wait(epfd: number, events: number, maxEvents: number, timeoutMs: number): number;
  /** null where libc is older than 2.35. */
  epoll_pwait2:
    | ((epfd: number, events: number, maxEvents: number, timespec: number, mask: number, size: number) => number)
    | null;
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: number, length: number): number;
  listen(fd: number, backlog: number): number;
  accept4(fd: number, address: number, length: number, flags: number): number;
  connect(fd: number, address: number, length: number): number;
  getsockopt(fd: number, level: number, option: number, value: number, length: number): number;
  setsockopt(fd: number, level: number, option: number, value: number, length: number): number;
  getsockname(fd: number, address: number, length: number): number;
  getpeername(fd: number, address: number, length: number): number;
  shutdown(fd: number, how: number): number;
  read(fd: number, address: number, length: number): number;
  write(fd: number, address: number, length: number): number;
  writev(fd: number, iov: number, count: number): number;
  recvfrom(fd: number, address: number, length: number, flags: number, name: number, nameLength: number): number;
  sendto(fd: number, address: number, length: number, flags: number, name: number, nameLength: number): number;
  dup(fd: number): number;
  close(fd: number): number;
  _exit(code: number): void;
  eventfd(initial: number, flags: number): number;
  madvise(address: number, length: number, advice: number): number;
  prctl(option: number, a: number, b: number, c: number, d: number): number;
  getrlimit(resource: number, limit: number): number;
  setrlimit(resource: number, limit: number): number;
  memmove(to: number, from: number, length: number): number;
  /** Returns the address, -1 on failure. */
  mmap(address: number, length: number, protection: number, flags: number, fd: number, offset: number): number;
  ftruncate(fd: number, length: number): number;
  /** null where libc has none. */
  fallocate: ((fd: number, mode: number, offset: number, length: number) => number) | null;
  errno(): number;
  /** memfd_create; null where libc has none. */
  memfd: ((name: string, flags: number) => number) | null;
  /** File descriptor of libuv's own poll set in the main thread, or -1. */
  uvBackendFd(): number;
}

interface Koffi {
  load(path: string | null): { func(definition: string): (...args: number[]) => number };
  errno(): number;
  address(value: ArrayBufferView): bigint;
}

const MADV_DONTNEED = 4;
const PR_SET_THP_DISABLE = 41;
const PR_SET_TIMERSLACK = 29;
const RLIMIT_NOFILE = 7;
const PAGE_BYTES = 4096;

let loaded: SystemCalls | null | undefined;
let koffi: Koffi | null = null;
let whyNot = '';

/** @returns the calls, or null where they cannot be had (see `systemUnavailableReason`) */
export function systemCalls(): SystemCalls | null {
  if (loaded === undefined) {
    try {
      loaded = bind();
    } catch (error) {
      loaded = null;
      whyNot = error instanceof Error ? error.message : String(error);
    }
  }
  return loaded;
}

/** True where libc's calls can be made from here (Linux with koffi). CACHELAB_NO_SYSTEM_CALLS=1 forces false, for tests. */
export function systemAvailable(): boolean {
  return systemCalls() !== null;
}

/** One line that says why `systemAvailable()` is false; empty when it is true. */
export function systemUnavailableReason(): string {
  systemCalls();
  return whyNot;
}

function bind(): SystemCalls {
  if (process.platform !== 'linux') throw new Error(`system calls are bound on Linux only, not on ${process.platform}`);
  if (process.env['CACHELAB_NO_SYSTEM_CALLS'] === '1') throw new Error('CACHELAB_NO_SYSTEM_CALLS=1 is set');
  koffi = createRequire(import.meta.url)('koffi') as Koffi;
  // The process itself: libc is already mapped, and Node exports libuv's functions for its addons.
  const libc = koffi.load(null);
  const optional = (definition: string): ((...args: number[]) => number) | null => {
    try {
      return libc.func(definition);
    } catch {
      return null;
    }
  };
  const defaultLoop = optional('uintptr_t uv_default_loop()');
  const backendFd = optional('int uv_backend_fd(uintptr_t)');
  const uv = defaultLoop !== null ? defaultLoop() : 0;
  return {
    epoll_create1: libc.func('int epoll_create1(int)'),
    epoll_ctl: libc.func('int epoll_ctl(int, int, int, uintptr_t)'),
    epoll_wait: libc.func('int epoll_wait(int, uintptr_t, int, int)'),
    epoll_pwait2: optional('int epoll_pwait2(int, uintptr_t, int, uintptr_t, uintptr_t, size_t)'),
    socket: libc.func('int socket(int, int, int)'),
    bind: libc.func('int bind(int, uintptr_t, uint32_t)'),
    listen: libc.func('int listen(int, int)'),
    accept4: libc.func('int accept4(int, uintptr_t, uintptr_t, int)'),
    connect: libc.func('int connect(int, uintptr_t, uint32_t)'),
    getsockopt: libc.func('int getsockopt(int, int, int, uintptr_t, uintptr_t)'),
    setsockopt: libc.func('int setsockopt(int, int, int, uintptr_t, uint32_t)'),
    getsockname: libc.func('int getsockname(int, uintptr_t, uintptr_t)'),
    getpeername: libc.func('int getpeername(int, uintptr_t, uintptr_t)'),
    shutdown: libc.func('int shutdown(int, int)'),
    read: libc.func('intptr_t read(int, uintptr_t, size_t)'),
    write: libc.func('intptr_t write(int, uintptr_t, size_t)'),
    writev: libc.func('intptr_t writev(int, uintptr_t, int)'),
    recvfrom: libc.func('intptr_t recvfrom(int, uintptr_t, size_t, int, uintptr_t, uintptr_t)'),
    sendto: libc.func('intptr_t sendto(int, uintptr_t, size_t, int, uintptr_t, uint32_t)'),
    dup: libc.func('int dup(int)'),
    close: libc.func('int close(int)'),
    _exit: libc.func('void _exit(int)') as unknown as (code: number) => void,
    eventfd: libc.func('int eventfd(uint32_t, int)'),
    madvise: libc.func('int madvise(uintptr_t, size_t, int)'),
    prctl: libc.func('int prctl(int, uintptr_t, uintptr_t, uintptr_t, uintptr_t)'),
    getrlimit: libc.func('int getrlimit(int, uintptr_t)'),
    setrlimit: libc.func('int setrlimit(int, uintptr_t)'),
    memmove: libc.func('uintptr_t memmove(uintptr_t, uintptr_t, size_t)'),
    mmap: libc.func('intptr_t mmap(uintptr_t, size_t, int, int, int, int64_t)'),
    ftruncate: libc.func('int ftruncate(int, int64_t)'),
    fallocate: optional('int fallocate(int, int, int64_t, int64_t)'),
    memfd: optional('int memfd_create(const char *, unsigned int)') as ((name: string, flags: number) => number) | null,
    errno: koffi.errno,
    uvBackendFd: () => (uv !== 0 && backendFd !== null ? backendFd(uv) : -1),
  };
}

/**
 * @returns the address of the first byte of a view in this process, or 0 where the platform does not tell.
 *   Only memory of a SharedArrayBuffer or of an ArrayBuffer that is not transferred stays where it is.
 */
export function addressOf(bytes: Uint8Array): number {
  if (systemCalls() === null || koffi === null || bytes.length === 0) return 0;
  return Number(koffi.address(bytes));
}

/**
 * Gives whole pages back to the system; they read as zero afterwards.
 * @param address a multiple of the page size
 * @returns whether the system took them
 */
export function purgePages(address: number, bytes: number): boolean {
  const sys = systemCalls();
  if (sys === null || address === 0 || address % PAGE_BYTES !== 0) return false;
  return sys.madvise(address, bytes, MADV_DONTNEED) === 0;
}

/** Ends the process at once, from whatever thread, without asking the others. */
export function exitProcess(code: number): never {
  systemCalls()?._exit(code);
  throw new Error('Cannot end the process: there are no system calls here');
}

/** Switches transparent huge pages off for this process (resident memory then grows by pages of 4 KiB, as counted). */
export function disableHugePages(): boolean {
  const sys = systemCalls();
  return sys !== null && sys.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) === 0;
}

/** Lets timed waits of the calling thread end within about a microsecond of their time instead of the usual 50. */
export function tightenTimers(): boolean {
  const sys = systemCalls();
  return sys !== null && sys.prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0) === 0;
}

/**
 * Raises the soft limit of open files so that `files` may be open, as far as the hard limit lets it.
 * @returns the soft limit that holds now; Infinity where the platform does not tell
 */
export function raiseFileLimit(files: number): number {
  const sys = systemCalls();
  if (sys === null) return Number.POSITIVE_INFINITY;
  const limits = new BigUint64Array(2);
  const address = addressOf(new Uint8Array(limits.buffer));
  if (sys.getrlimit(RLIMIT_NOFILE, address) !== 0) {
    throw new SystemError('getrlimit', sys.errno(), 'Cannot read the limit of open files');
  }
  const soft = Number(limits[0]);
  if (soft >= files) return soft;
  const hard = limits[1]!;
  const wanted = BigInt(files);
  // A privileged process may raise the hard limit too; if that is refused, the hard limit is what can be had.
  limits[0] = wanted;
  limits[1] = hard > wanted ? hard : wanted;
  if (sys.setrlimit(RLIMIT_NOFILE, address) === 0) return files;
  limits[0] = hard < wanted ? hard : wanted;
  limits[1] = hard;
  return sys.setrlimit(RLIMIT_NOFILE, address) === 0 ? Number(limits[0]) : soft;
}
