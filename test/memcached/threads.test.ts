/**
 * What several cores over one arena tell of each other. They take turns in one thread here, so that every step has one outcome; threads that
 * run at the same time are others' tests.
 */
import { describe, expect, it } from 'vitest';
import { HAND_OVER_WATCH } from '../../engines/memcached/hand-over.ts';
import type { Settings } from '../../engines/memcached/settings.ts';
import { createArena } from '../../engines/memory/arena.ts';
import { InProcess, parseStats } from './in-process.ts';

const THREADS = 2;

/** A dispatcher and its workers; connections that workers hand over arrive in the dispatcher at once. */
function makeServer(settings: Partial<Settings> = {}): { dispatcher: InProcess; workers: InProcess[] } {
  const memory = createArena({ byteLength: 512 * 1024 * 1024, shared: true });
  const all = { ...settings, threads: THREADS };
  const dispatcher = new InProcess(all, 0, undefined, { memory, placement: { role: 'dispatcher', threads: THREADS } });
  const block = dispatcher.core.shared.offset;
  const workers = Array.from({ length: THREADS }, (_, thread) => {
    const worker: InProcess = new InProcess(all, 0, undefined, {
      memory,
      placement: { role: 'worker', threads: THREADS, thread, block },
      handOver: (conn, purpose, argument) => {
        const arrived = dispatcher.open(worker.descriptor(conn));
        dispatcher.core.onHandedOver(arrived, purpose, argument);
        worker.hangUp(conn, -1);
      },
    });
    return worker;
  });
  return { dispatcher, workers };
}

const withoutTimes = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replace(/^ts=\S+ /, ''));

describe('cores of several threads', () => {
  it('send their events to a watcher that came through one of them', () => {
    const { dispatcher, workers } = makeServer();
    const [one, two] = workers as [InProcess, InProcess];
    const watcher = one.open();
    one.send(watcher, 'watch fetchers mutations connevents\r\nget ignored\r\n');
    expect(one.isClosed(watcher)).toBe(true);
    expect(dispatcher.take(0).toString()).toBe('OK\r\n');
    const a = one.open();
    const b = two.open();
    one.send(a, 'set k 0 0 1\r\nx\r\n');
    two.send(b, 'get k\r\n');
    two.hangUp(b);
    dispatcher.core.background.runAll();
    // Lines of one thread are in order; between threads their numbers tell.
    const lines = withoutTimes(dispatcher.take(0).toString()).sort(
      (x, y) => Number(/gid=(\d+)/.exec(x)![1]) - Number(/gid=(\d+)/.exec(y)![1]),
    );
    expect(lines).toEqual([
      'gid=2 type=conn_new rip=127.0.0.1 rport=1 transport=tcp cfd=21',
      'gid=3 type=conn_new rip=127.0.0.1 rport=1 transport=tcp cfd=20',
      'gid=4 type=item_get key=k status=not_found clsid=0 cfd=21 size=0',
      'gid=5 type=item_store key=k status=stored cmd=set ttl=0 clsid=1 cfd=21 size=1',
      'gid=6 type=item_get key=k status=found clsid=1 cfd=20 size=1',
      'gid=7 type=conn_close rip=127.0.0.1 rport=1 transport=tcp reason=normal cfd=20',
    ]);
    const stats = parseStats(two.send(two.open(), 'stats\r\n'));
    expect([stats['log_watchers'], stats['log_worker_written'], stats['log_watcher_sent']]).toEqual(['1', '7', '6']);
    dispatcher.hangUp(0);
    expect(two.core.watchers.count).toBe(0);
    expect(two.core.logger.wants(-1)).toBe(false);
  });

  it('give a watcher’s place back when it ends on its way', () => {
    const memory = createArena({ byteLength: 128 * 1024 * 1024, shared: true });
    const threads = { memory, placement: { role: 'dispatcher', threads: 1 } } as const;
    const dispatcher = new InProcess({ threads: 1 }, 0, undefined, threads);
    const placement = { role: 'worker', threads: 1, thread: 0, block: dispatcher.core.shared.offset } as const;
    const worker = new InProcess({ threads: 1 }, 0, undefined, { memory, placement, handOver: () => {} });
    for (const conn of [worker.open(), worker.open()]) worker.send(conn, 'watch\r\n');
    expect(dispatcher.core.watchers.count).toBe(2);
    worker.hangUp(0);
    expect(dispatcher.core.watchers.count).toBe(1);
    worker.hangUp(1, -1);
    dispatcher.core.onHandedOver(-1, HAND_OVER_WATCH, 0);
    expect(dispatcher.core.watchers.count).toBe(0);
  });

  it('show the connections of all of them', () => {
    const { dispatcher, workers } = makeServer();
    const [one, two] = workers as [InProcess, InProcess];
    dispatcher.core.listeners.listen(7, 1, '127.0.0.1:11211', dispatcher.core.items.now);
    const watcher = one.open();
    one.send(watcher, 'watch\r\n');
    const reading = two.open(31);
    two.send(reading, 'set k 0 0 10\r\nab');
    two.open(32);
    const asking = one.open(33);
    dispatcher.advance(5);
    const reply = one.send(asking, 'stats conns\r\n');
    expect(reply.split('\r\n').filter((line) => line.includes(':state'))).toEqual([
      'STAT 7:state conn_listening',
      'STAT 20:state conn_watch',
      'STAT 31:state conn_nread',
      'STAT 32:state conn_new_cmd',
      'STAT 33:state conn_parse_cmd',
    ]);
    expect(reply).toContain('STAT 31:secs_since_last_cmd 5\r\n');
    expect(reply).toContain('STAT 33:secs_since_last_cmd 0\r\n');
    // More connections than there were places for at the start.
    for (let i = 0; i < 300; i++) two.open(100 + i);
    expect(one.send(asking, 'stats conns\r\n').match(/:state/g)).toHaveLength(305);
    for (let i = 0; i < 300; i++) two.hangUp(2 + i);
    expect(one.send(asking, 'stats conns\r\n').match(/:state/g)).toHaveLength(5);
  });

  it('count together by prefix and by size, and forget together', () => {
    const { workers } = makeServer();
    const [one, two] = workers as [InProcess, InProcess];
    const [a, b] = [one.open(), two.open()];
    one.send(a, 'stats detail on\r\nstats sizes_enable\r\n');
    two.send(b, 'set p:1 0 0 1\r\nx\r\nget p:1\r\n');
    one.send(a, 'get p:1 q:2\r\nset p:2 0 0 1\r\nx\r\n');
    expect(two.send(b, 'stats detail dump\r\n').split('\r\n').sort()).toEqual([
      '',
      'END',
      'PREFIX p get 2 hit 2 set 2 del 0',
      'PREFIX q get 1 hit 0 set 0 del 0',
    ]);
    expect(one.send(a, 'stats sizes\r\n')).toBe('STAT 64 2\r\nEND\r\n');
    expect(parseStats(one.send(a, 'stats\r\n'))).toMatchObject({
      cmd_get: '3',
      cmd_set: '2',
      get_hits: '2',
      curr_items: '2',
    });
    two.send(b, 'stats reset\r\nstats sizes_disable\r\n');
    expect(one.send(a, 'stats detail dump\r\nstats sizes\r\n')).toBe('END\r\nSTAT sizes_status disabled\r\nEND\r\n');
    expect(parseStats(one.send(a, 'stats\r\n'))).toMatchObject({ cmd_get: '0', cmd_set: '0', curr_items: '2' });
  });

  it('write to the log from a level on that one of them was told', () => {
    const { workers } = makeServer();
    const [one, two] = workers as [InProcess, InProcess];
    const [a, b] = [one.open(), two.open()];
    one.send(a, 'verbosity 2\r\n');
    two.send(b, 'get k\r\n');
    expect(two.logLines).toEqual(['20: Client using the ascii protocol', '<20 get k', '>20 END']);
    expect(two.send(b, 'stats settings\r\n')).toContain('STAT verbosity 2\r\n');
    two.send(b, 'verbosity 0\r\n');
    one.logLines.length = 0;
    one.send(a, 'get k\r\n');
    expect(one.logLines).toEqual([]);
  });

  it('kick their idle connections by the dispatcher’s clock', async () => {
    const { dispatcher, workers } = makeServer({ idleTimeout: 3 });
    const two = workers[1]!;
    const idle = two.open();
    dispatcher.advance(4);
    two.core.tick();
    await Promise.resolve();
    expect(two.isClosed(idle)).toBe(true);
    expect(parseStats(workers[0]!.send(workers[0]!.open(), 'stats\r\n'))['idle_kicks']).toBe('1');
  });

  it('flush and limit for all', () => {
    const { workers } = makeServer();
    const [one, two] = workers as [InProcess, InProcess];
    const [a, b] = [one.open(), two.open()];
    one.send(a, 'set k 0 0 1\r\nx\r\n');
    two.send(b, 'flush_all\r\ncache_memlimit 100\r\n');
    expect(one.send(a, 'get k\r\n')).toBe('END\r\n');
    expect(parseStats(one.send(a, 'stats\r\n'))).toMatchObject({
      limit_maxbytes: '104857600',
      cmd_flush: '1',
      get_flushed: '1',
    });
  });
});
