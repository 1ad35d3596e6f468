import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { entryUrl } from '../../engines/base/entry.ts';
import { nowUs } from '../../engines/io/now.ts';
import { TimerQueue } from '../../engines/io/timer-queue.ts';
import { median } from '../../harness/measure/statistics.ts';
import { TIMED } from '../support/timed.ts';
import { sleep, until } from '../support/wait.ts';
import { loopNames, type RunningLoop, startLoop } from './support/loops.ts';

describe('the timer queue', () => {
  it('runs what is due in order of time, again where a delay is returned, and not what was cancelled', () => {
    const queue = new TimerQueue();
    const ran: string[] = [];
    const add = (name: string, dueUs: number, again = -1): number =>
      queue.add(dueUs, () => {
        ran.push(name);
        return again;
      });
    add('c', 3_000);
    add('a', 1_000, 5);
    const cancelled = add('x', 2_000);
    add('b', 2_500);
    queue.cancel(cancelled);
    queue.cancel(cancelled);
    expect(queue.nextDueUs).toBe(1_000);
    queue.runDue(2_600);
    expect(ran).toEqual(['a', 'b']);
    expect(queue.nextDueUs).toBe(3_000);
    queue.runDue(7_599);
    queue.runDue(7_600);
    expect(ran).toEqual(['a', 'b', 'c', 'a']);
    expect(queue.size).toBe(1);
  });

  it('keeps order over thousands of random additions and cancellations', () => {
    let seed = 12345;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % below;
    };
    const queue = new TimerQueue();
    const due = new Map<number, number>();
    let last = 0;
    for (let i = 0; i < 5_000; i++) {
      const at = random(1_000_000);
      const id: number = queue.add(at, () => {
        expect(at).toBeGreaterThanOrEqual(last);
        last = at;
        due.delete(id);
        return -1;
      });
      due.set(id, at);
      if (random(3) === 0) {
        const victim = [...due.keys()][random(due.size)]!;
        queue.cancel(victim);
        due.delete(victim);
      }
    }
    for (let now = 0; now <= 1_000_000; now += 1_000) queue.runDue(now);
    expect(due.size).toBe(0);
    expect(queue.size).toBe(0);
  });
});

describe.each(loopNames)('time in the %s loop', (name) => {
  let running: RunningLoop | null = null;
  afterEach(async () => {
    await running?.end();
    running = null;
  });

  it('calls timers when they are due, again and again, until they end or are cancelled', TIMED, async () => {
    running = startLoop(name, () => ({}));
    const { loop } = running;
    const began = loop.nowUs();
    const at: number[] = [];
    loop.addTimer(5, () => {
      at.push((loop.nowUs() - began) / 1000);
      return at.length < 4 ? 10 : -1;
    });
    let cancelled = false;
    const id = loop.addTimer(20, () => {
      cancelled = true;
      return -1;
    });
    loop.cancelTimer(id);
    await until('four calls', () => at.length === 4);
    await sleep(30);
    expect(at.length).toBe(4);
    expect(cancelled).toBe(false);
    expect(at[0]).toBeGreaterThanOrEqual(5);
    expect(at[3]).toBeGreaterThanOrEqual(35);
    // A machine busy with other things is late, but not by a second.
    expect(at[3]).toBeLessThan(1_000);
  });

  it('wakes for a deadline to a fraction of a millisecond, and not before', TIMED, async () => {
    const late: number[] = [];
    let next = Number.POSITIVE_INFINITY;
    running = startLoop(name, (loop) => ({
      onTurn() {
        const now = loop.nowUs();
        if (now < next) return;
        late.push(now - next);
        next = late.length < 100 ? next + 370 : Number.POSITIVE_INFINITY;
        while (next <= loop.nowUs()) next += 370;
        loop.deadlineUs = next;
      },
    }));
    next = running.loop.nowUs() + 2_000;
    running.loop.deadlineUs = next;
    await until('all deadlines have passed', () => late.length >= 100);
    late.sort((a, b) => a - b);
    expect(late[0]).toBeGreaterThanOrEqual(0);
    // A fifth of them: the machine may be busy with other things. With a clock of whole milliseconds they would be up to 200 late.
    expect(late[20]).toBeLessThan(150);
  });

  it('spends next to no processor time while idle', TIMED, async () => {
    running = startLoop(name, () => ({}), { hopMs: 100 });
    await running.loop.listenTcp('127.0.0.1', 0, 16);
    running.loop.addTimer(100, () => 100);
    await sleep(50);
    let least = Number.POSITIVE_INFINITY;
    // The process has other threads, which may have something to do, but not always.
    for (let attempt = 0; attempt < 3 && least >= 60_000; attempt++) {
      const began = process.cpuUsage();
      await sleep(600);
      const { user, system } = process.cpuUsage(began);
      least = Math.min(least, user + system);
    }
    expect(least).toBeLessThan(60_000);
  });

  it('lets promises and timers of Node run while it waits', TIMED, async () => {
    running = startLoop(name, () => ({}));
    const tookMs: number[] = [];
    for (let i = 0; i < 11; i++) {
      const began = performance.now();
      await sleep(5);
      tookMs.push(performance.now() - began);
    }
    expect(median(tookMs)).toBeLessThan(40);
  });

  it('is woken from another thread', TIMED, async () => {
    running = startLoop(name, () => ({}));
    let woken = 0;
    running.loop.onWake = () => {
      woken++;
    };
    const module = entryUrl(import.meta.url, '../../engines/io/waker.ts');
    if (!existsSync(fileURLToPath(module))) throw new Error('Cannot find dist/: run npm run build first');
    const worker = new Worker(
      `import(${JSON.stringify(module.href)}).then(({ wakeLoop }) => {
         const { workerData, parentPort } = require('node:worker_threads');
         parentPort.on('message', () => wakeLoop(workerData));
         parentPort.postMessage('up');
       });`,
      { eval: true, workerData: { ...running.loop.waker } },
    );
    await new Promise((resolve) => worker.once('message', resolve));
    const tookUs: number[] = [];
    for (let i = 1; i <= 5; i++) {
      const began = nowUs();
      worker.postMessage('wake');
      await until('it has woken', () => woken >= i);
      tookUs.push(nowUs() - began);
    }
    expect(median(tookUs)).toBeLessThan(200_000);
    await worker.terminate();
  });

  it('has one clock for all threads', async () => {
    const module = new URL('../../dist/engines/io/now.js', import.meta.url);
    if (!existsSync(fileURLToPath(module))) throw new Error('Cannot find dist/: run npm run build first');
    const worker = new Worker(
      `import(${JSON.stringify(module.href)}).then(({ nowUs }) => {
         const { parentPort } = require('node:worker_threads');
         parentPort.on('message', () => parentPort.postMessage(nowUs()));
         parentPort.postMessage(0);
       });`,
      { eval: true },
    );
    const reply = (): Promise<number> => new Promise((resolve) => worker.once('message', resolve));
    await reply();
    for (let i = 0; i < 20; i++) {
      const before = nowUs();
      const answer = reply();
      worker.postMessage('');
      const there = await answer;
      expect(there).toBeGreaterThan(before - 20);
      expect(there).toBeLessThan(nowUs() + 20);
    }
    await worker.terminate();
  });
});

describe.each(loopNames)('signals to a server on the %s loop', (name) => {
  const entry = fileURLToPath(new URL('./support/signal-server.mjs', import.meta.url));

  async function start(mode: 'idle' | 'busy' | 'slow'): Promise<{
    child: ReturnType<typeof spawn>;
    exit: Promise<[number | null, string | null]>;
    output: () => string;
  }> {
    const child = spawn(process.execPath, [entry, name, mode], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout!.on('data', (data) => {
      text += data;
    });
    const exit = new Promise<[number | null, string | null]>((resolve) => {
      // With all that it has written.
      child.once('close', (code, signal) => resolve([code, signal]));
    });
    await until('the server is up', () => text.includes('up'), 10_000);
    return { child, exit, output: () => text };
  }

  it.each(['idle', 'busy'] as const)('SIGTERM stops it soon while it is %s', async (mode) => {
    const { child, exit, output } = await start(mode);
    await sleep(100);
    const began = performance.now();
    child.kill('SIGTERM');
    expect(await exit).toEqual([0, null]);
    expect(performance.now() - began).toBeLessThan(10_000);
    const delayMs = Number(/handled after ([\d.]+)/.exec(output())![1]);
    expect(delayMs).toBeLessThan(5_000);
    expect(output()).toContain('stopped by SIGTERM');
  });

  it('a second SIGINT ends a shutdown that takes too long, with exit code 1', async () => {
    const { child, exit, output } = await start('slow');
    child.kill('SIGINT');
    await until('the first is seen', () => output().includes('SIGINT'));
    child.kill('SIGINT');
    expect(await exit).toEqual([1, null]);
    expect(output()).toContain('insisted');
  });
});
