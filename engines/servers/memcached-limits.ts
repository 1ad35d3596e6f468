/**
 * How many clients are let in, over all threads, and what becomes of those beyond. The original looks at the number of an accepted
 * descriptor: what it holds itself counts too. With `maxconns_fast` (the default) a client too many is told so and closed; else the
 * original finds that it has no descriptor left, and nobody is accepted until a client has gone.
 */
import type { EventLoop } from '../io/event-loop.ts';
import { nowUs } from '../io/now.ts';
import type { Core } from '../memcached/core.ts';
import { CELL_CONNECTIONS, CELL_LISTEN_DISABLED } from '../memcached/shared-block.ts';
import { log } from './memcached-thread.ts';

/** What the original holds open beside listeners and clients: with `-c 80` and one listener it takes 68 clients at -t 1, 64 at -t 2, 56 at -t 4. */
const DESCRIPTORS_OF_PROCESS = 7;
const DESCRIPTORS_OF_THREAD = 4;
/** How often one looks whether a client has gone while nobody is accepted. */
const REST_MS = 10;

const REFUSAL = new TextEncoder().encode('ERROR Too many open connections\r\n');

export class ConnectionLimit {
  private readonly core: Core;
  private readonly loop: EventLoop;
  private readonly cell: number;
  private limit = 0;

  /** Sets what the loop that listens is told about newcomers. */
  constructor(core: Core, loop: EventLoop) {
    this.core = core;
    this.loop = loop;
    this.cell = core.shared.cell(CELL_CONNECTIONS);
    loop.onRefused = () => {
      core.counters.rejectedConnections++;
      return REFUSAL;
    };
    if (!core.settings.maxConnsFast) {
      loop.isFull = () => this.isFull;
      loop.onFull = () => this.rest();
    }
  }

  /**
   * The listening sockets are there.
   * @param sockets how many they are
   * @param datagramSockets how many sockets for datagrams all threads hold together
   */
  listening(sockets: number, datagramSockets: number): void {
    const { threads, maxConns, maxConnsFast } = this.core.settings;
    const others = DESCRIPTORS_OF_PROCESS + DESCRIPTORS_OF_THREAD * threads + sockets + datagramSockets;
    // The one descriptor below the limit is lent to clients that are refused.
    this.limit = Math.max(0, maxConns - others - (maxConnsFast ? 0 : -1));
    if (this.core.role === 'alone') this.loop.maxConnections = this.limit + datagramSockets;
    // The original counts its listening sockets among its connections, all but one.
    this.core.counters.currConnections += sockets - 1;
    this.core.counters.totalConnections += sockets;
  }

  get isFull(): boolean {
    return Atomics.load(this.core.memory.u32, this.cell) >= this.limit;
  }

  /** Counts one that is handed to a worker; the worker's core counts it off when it has closed. */
  admit(): void {
    Atomics.add(this.core.memory.u32, this.cell, 1);
  }

  private rest(): void {
    const { core, loop } = this;
    const disabled = core.shared.cell(CELL_LISTEN_DISABLED);
    const sinceUs = nowUs();
    core.counters.listenDisabledNum++;
    core.memory.u32[disabled] = 1;
    log('accept4(): Too many open files');
    if (core.settings.verbose > 0) log('Too many open connections');
    loop.addTimer(REST_MS, () => {
      if (this.isFull) return REST_MS;
      core.counters.listenDisabledUs += Math.round(nowUs() - sinceUs);
      core.memory.u32[disabled] = 0;
      loop.acceptAgain();
      return -1;
    });
  }
}
