/**
 * One thread of a Memcached-like server: an arena object over the shared bytes, an allocator for connections' buffers, a core and a loop.
 * The only thread of a small server is made of the same parts as a worker and the dispatcher.
 */
import { writeSync } from 'node:fs';
import { createEventLoop } from '../io/create-event-loop.ts';
import type { EventLoop, EventLoopName } from '../io/event-loop.ts';
import { nowUs } from '../io/now.ts';
import { Core, type CoreEvent, type CoreHooks } from '../memcached/core.ts';
import type { Settings } from '../memcached/settings.ts';
import type { Placement } from '../memcached/shared-block.ts';
import type { Arena } from '../memory/arena.ts';
import { createJemalloc, type Jemalloc } from '../memory/jemalloc.ts';
import type { Clock } from '../ports.ts';

/** The core's second clock is advanced this often, as the original's timer does. */
const TICK_MS = 1_000;
/** Nothing of Node's own waits for its turn in a worker, but for being cut off at the end. */
const WORKER_HOP_MS = 1_000;

/** Real time. */
export function systemClock(): Clock {
  return { wallMs: () => Date.now(), monoUs: nowUs };
}

/** A line of the log, at once: a worker's stream would wait for the main thread. */
export function log(line: string): void {
  try {
    writeSync(2, `${line}\n`);
  } catch {
    // Nobody reads the log any more; the server goes on.
  }
}

export interface ThreadOptions {
  readonly arena: Arena;
  readonly settings: Settings;
  readonly placement: Placement;
  readonly eventLoop: EventLoopName | 'auto';
  readonly maxConnections: number;
  readonly hooks: Omit<CoreHooks, 'log' | 'usage'>;
}

export interface MemcachedThread {
  readonly core: Core;
  readonly loop: EventLoop;
  readonly allocator: Jemalloc;
  /** Runs the background jobs that want it soon; not for workers. */
  wakeBackground(): void;
}

/** Makes the parts and starts their timers; the caller adds listeners or connections and runs the loop. */
export function makeThread(options: ThreadOptions): MemcachedThread {
  const { arena, settings, placement } = options;
  const clock = systemClock();
  let wakeBackground = options.hooks.wakeBackground ?? (() => {});
  const hooks = { ...options.hooks, log, usage, wakeBackground: () => wakeBackground() };
  const core = new Core(arena, clock, settings, hooks, placement);
  // Connections' buffers are the allocator's, items are the slabs': both share the arena, and only slabs count for -m.
  const allocator = createJemalloc(arena, { classes: 'debian', clock });
  const loop = createEventLoop(options.eventLoop, allocator, {
    maxConnections: options.maxConnections,
    sendsAfterEnd: true,
    hopMs: placement.role === 'worker' ? WORKER_HOP_MS : undefined,
  });
  core.setTransport(loop);
  loop.setHandler(core);
  loop.addTimer(TICK_MS, () => {
    core.tick();
    core.connections.resumeDrained();
    allocator.tick(nowUs() / 1000);
    return TICK_MS;
  });
  if (placement.role !== 'worker') wakeBackground = runBackground(core, loop);
  return { core, loop, allocator, wakeBackground };
}

/** A client asked for a shutdown: it comes as the signal that means it, whatever thread the client is served by. */
export function signalShutdown(kind: CoreEvent): void {
  process.kill(process.pid, kind === 'shutdown' ? 'SIGINT' : 'SIGUSR1');
}

/** Runs the background jobs from the loop's timers. @returns a function that runs them soon, from this thread */
function runBackground(core: Core, loop: EventLoop): () => void {
  const maintain = (): number => core.maintain();
  let timer = loop.addTimer(1, maintain);
  return () => {
    loop.cancelTimer(timer);
    timer = loop.addTimer(0, maintain);
  };
}

function usage(): { pid: number; userSeconds: number; systemSeconds: number } {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  return { pid: process.pid, userSeconds: userCPUTime / 1e6, systemSeconds: systemCPUTime / 1e6 };
}
