/**
 * The server with several threads: the main thread listens, hands each accepted connection to a worker in turn, and does the
 * background work; the workers serve. They share the arena and nothing else: what passes between them are descriptors in rings of the arena,
 * wake-ups of their loops, and the words "ready" and "failed".
 */
import { Worker } from 'node:worker_threads';
import { entryUrl } from '../base/entry.ts';
import type { EventLoop, Waker } from '../io/event-loop.ts';
import { systemCalls } from '../io/system.ts';
import { wakeLoop } from '../io/waker.ts';
import type { Core } from '../memcached/core.ts';
import type { Settings } from '../memcached/settings.ts';
import type { Placement } from '../memcached/shared-block.ts';
import type { Arena } from '../memory/arena.ts';
import type { ArenaHandle } from '../memory/arena-buffer.ts';
import { DescriptorQueue, FOR_COMMANDS, FOR_DATAGRAMS } from './descriptor-queue.ts';
import type { ConnectionLimit } from './memcached-limits.ts';
import type { PlacedListener } from './memcached-listeners.ts';
import { log } from './memcached-thread.ts';

/** sysexits.h: a worker has failed. */
export const EX_SOFTWARE = 70;
/** Entries of a ring beside one for each connection: those that have closed are still being counted off. */
export const QUEUE_SLACK = 64;
/** A worker's own objects are few; what lies in the arena does not count. */
const WORKER_HEAP_MIB = 256;
const WORKER_NEW_MIB = 16;
/** Workers that have been told to end get so long before they are cut off. */
const STOP_WAIT_MS = 5_000;

/** What a worker is started with. */
export interface WorkerStart {
  readonly handle: ArenaHandle;
  readonly settings: Settings;
  readonly placement: Extract<Placement, { role: 'worker' }>;
  /** Offsets of the rings to and from the worker. */
  readonly inbox: number;
  readonly outbox: number;
  readonly dispatcher: Waker;
}

interface Team {
  readonly worker: Worker;
  readonly waker: Waker;
  readonly inbox: DescriptorQueue;
  readonly outbox: DescriptorQueue;
  readonly ended: Promise<void>;
}

export class WorkerThreads {
  private readonly loop: EventLoop;
  private readonly workers: Worker[] = [];
  private readonly team: Team[] = [];
  private next = 0;
  private isStopping = false;
  /** Why a worker has ended, null as long as none has. */
  failure: string | null = null;
  /** A worker has failed: nothing it has left half done must be served any more. */
  onFailure: () => void = () => {};

  private constructor(loop: EventLoop) {
    this.loop = loop;
  }

  /**
   * Starts the workers and waits until all of them run.
   * @param core the dispatcher's
   * @throws Error when one cannot be started
   */
  static async start(arena: Arena, core: Core, loop: EventLoop): Promise<WorkerThreads> {
    const threads = new WorkerThreads(loop);
    const starts = Array.from({ length: core.shared.threads }, (_, thread) => threads.begin(arena, core, thread));
    try {
      threads.team.push(...(await Promise.all(starts)));
    } catch (error) {
      await Promise.all(threads.workers.map((worker) => worker.terminate()));
      throw error;
    }
    return threads;
  }

  private begin(arena: Arena, core: Core, thread: number): Promise<Team> {
    const { settings, shared } = core;
    const slots = settings.maxConns + QUEUE_SLACK;
    const pages = DescriptorQueue.pagesFor(slots);
    const [inbox, outbox] = [arena.takePages(pages), arena.takePages(pages)];
    if (inbox === 0 || outbox === 0) throw new Error('Cannot start: the arena has no room for the threads’ queues');
    arena.u8.fill(0, inbox, inbox + pages * 4096);
    arena.u8.fill(0, outbox, outbox + pages * 4096);
    const start: WorkerStart = {
      handle: arena.handle,
      settings,
      placement: { role: 'worker', threads: shared.threads, thread, block: shared.offset },
      inbox,
      outbox,
      dispatcher: this.loop.waker,
    };
    const worker = new Worker(entryUrl(import.meta.url, './memcached-worker.ts'), {
      workerData: start,
      resourceLimits: { maxOldGenerationSizeMb: WORKER_HEAP_MIB, maxYoungGenerationSizeMb: WORKER_NEW_MIB },
    });
    this.workers.push(worker);
    return new Promise((resolve, reject) => {
      const ended = new Promise<void>((end) => worker.once('exit', () => end()));
      worker.once('error', (error) => {
        this.fail(`Worker thread ${thread} has failed: ${error.message}`);
        reject(error);
      });
      worker.once('exit', (code) => {
        if (!this.isStopping) this.fail(`Worker thread ${thread} has ended with code ${code}`);
      });
      worker.on('message', (message: Waker | 'failed') => {
        if (message === 'failed') {
          this.fail('');
          reject(new Error(`Cannot start worker thread ${thread}`));
          return;
        }
        const queue = (offset: number): DescriptorQueue => new DescriptorQueue(arena, offset, slots);
        resolve({ worker, waker: message, inbox: queue(inbox), outbox: queue(outbox), ended });
      });
    });
  }

  private fail(why: string): void {
    if (this.failure !== null) return;
    this.failure = why;
    if (why !== '') log(why);
    this.onFailure();
  }

  /** Hands each accepted connection to the workers by turns. */
  dispatch(limit: ConnectionLimit, listeners: readonly PlacedListener[]): void {
    const places = new Map(listeners.map(({ listener, place }) => [listener.id, place]));
    this.loop.onAccepted = (fd, listener) => {
      if (limit.isFull) return false;
      const { inbox, waker } = this.team[this.next]!;
      if (!inbox.put(fd, places.get(listener.id)!, FOR_COMMANDS, 0)) return false;
      limit.admit();
      this.next = (this.next + 1) % this.team.length;
      wakeLoop(waker);
      return true;
    };
  }

  /** Lets every worker serve a socket for datagrams. */
  shareDatagrams(fd: number, listener: number): void {
    for (const { inbox, waker } of this.team) {
      inbox.put(fd, listener, FOR_DATAGRAMS, 0);
      wakeLoop(waker);
    }
  }

  /** Takes over the connections that workers have handed over. */
  receive(core: Core): void {
    for (const { outbox } of this.team) {
      while (outbox.take()) {
        const { fd, listener, purpose, argument } = outbox;
        const conn = this.loop.adopt!(fd, listener, core.settings.socketPath ?? '');
        if (conn < 0) systemCalls()?.close(fd);
        core.onHandedOver(conn, purpose, argument);
      }
    }
  }

  /** Ends all workers. @returns when no thread is left */
  async stop(): Promise<void> {
    this.isStopping = true;
    for (const { inbox, waker } of this.team) {
      inbox.close();
      wakeLoop(waker);
    }
    const ended = Promise.all(this.team.map((member) => member.ended));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), STOP_WAIT_MS);
    });
    if ((await Promise.race([ended, late])) === 'late') {
      log('WARNING: a worker thread does not end: it is cut off.');
      await Promise.all(this.team.map(({ worker }) => worker.terminate()));
    }
    clearTimeout(timer);
  }
}
