import { spawn } from 'node:child_process';
import type net from 'node:net';
import { describe, expect, it } from 'vitest';
import { type EventLoop, MOVED } from '../../engines/io/event-loop.ts';
import { systemAvailable } from '../../engines/io/system.ts';
import { until } from '../support/wait.ts';
import { echoHandler, loopNames, openDescriptors, sendBytes, startLoop } from './support/loops.ts';
import { connect, receive } from './support/peers.ts';

const HOST = '127.0.0.1';

/** Answers each byte with itself, so many in a turn, then lets others have theirs; notes whose turn it was. */
function politeHandler(loop: EventLoop, each: number, turns: number[]) {
  return {
    onInput(conn: number, start: number, end: number): number {
      turns.push(conn);
      const count = Math.min(each, end - start);
      sendBytes(loop, conn, loop.memory.u8.slice(start, start + count));
      if (start + count < end) loop.yieldTurn(conn);
      return start + count;
    },
  };
}

for (const name of loopNames) {
  describe(`turns of the ${name} loop`, () => {
    it('hands the rest of a connection that yields over again, after the others', async () => {
      const turns: number[] = [];
      const running = startLoop(name, (loop) => politeHandler(loop, 1_000, turns));
      const { port } = await running.loop.listenTcp(HOST, 0, 16);
      const [one, two] = [await connect(port), await connect(port)];
      const bytes = Buffer.from(Array.from({ length: 40_000 }, (_, i) => i & 255));
      const both = [receive(one, bytes.length), receive(two, bytes.length)];
      one.write(bytes);
      two.write(bytes);
      for (const received of await Promise.all(both)) expect(received.equals(bytes)).toBe(true);
      expect(turns.length).toBeGreaterThanOrEqual(80);
      // From the first turn of the second on they take turns until one of them is served.
      const first = turns.slice(0, turns.indexOf(turns.find((conn) => conn !== turns[0])!));
      expect(first.length).toBeLessThanOrEqual(41);
      one.destroy();
      two.destroy();
      await running.end();
    });

    it('lets a connection that has yielded be paused, resumed and closed', async () => {
      const seen: number[] = [];
      const running = startLoop(name, (loop) => ({
        onInput(conn, start, end) {
          seen.push(end - start);
          if (seen.length === 1) {
            loop.yieldTurn(conn);
            loop.pause(conn);
            loop.addTimer(20, () => {
              loop.resume(conn);
              return -1;
            });
            return start + 1;
          }
          loop.yieldTurn(conn);
          if (end - start === 1) loop.close(conn, true);
          return start + 1;
        },
      }));
      const { port } = await running.loop.listenTcp(HOST, 0, 16);
      const peer = await connect(port);
      peer.resume();
      const closed = new Promise((resolve) => peer.once('close', resolve));
      peer.write('abcde');
      await closed;
      expect(seen).toEqual([5, 4, 3, 2, 1]);
      await running.end();
    });

    it('gives the core a turn when a paused connection has sent all it had', async () => {
      const total = 20 * 1024 * 1024;
      const waited: number[] = [];
      const running = startLoop(
        name,
        (loop) => ({
          onInput(conn, _start, end) {
            sendBytes(loop, conn, new Uint8Array(total));
            loop.pause(conn);
            waited.push(conn);
            return end;
          },
          onTurn() {
            if (waited.length > 0 && loop.outputBytes(waited[0]!) === 0) loop.resume(waited.pop()!);
          },
        }),
        // No timer and no turn of libuv's is to help.
        { hopMs: 20_000 },
      );
      const { port } = await running.loop.listenTcp(HOST, 0, 16);
      // The loop holds this thread for as long as it sleeps, so the peer is a process of its own.
      const peer = spawn(process.execPath, [
        '-e',
        `let n = 0; const s = require('net').connect(${port}, '${HOST}'); s.write('a');
         s.on('data', (d) => { n += d.length; if (n % ${total} === 0) n === 3 * ${total} ? s.destroy() : s.write('a'); });`,
      ]);
      const before = Date.now();
      const code = await new Promise((resolve) => peer.once('exit', resolve));
      expect(code).toBe(0);
      expect(Date.now() - before).toBeLessThan(10_000);
      await running.end();
    });

    it('leaves newcomers waiting or refuses them while it is full', async () => {
      let isFull = false;
      let asked = 0;
      const running = startLoop(name, echoHandler);
      const { loop } = running;
      loop.onRefused = () => Buffer.from('full');
      loop.isFull = () => isFull;
      loop.onFull = () => asked++;
      const { port } = await loop.listenTcp(HOST, 0, 16);
      const one = await connect(port);
      await until('the first is served', () => loop.connectionCount === 1);
      isFull = true;
      const two = await connect(port);
      const told = receive(two, 4);
      if (name === 'epoll') await until('the loop rests', () => asked > 0);
      else await until('it is refused', () => loop.counters.refused > 0);
      isFull = false;
      loop.acceptAgain();
      two.write('echo');
      const answer = String(await told);
      expect(answer).toBe(name === 'epoll' ? 'echo' : 'full');
      expect(asked).toBe(name === 'epoll' ? 1 : 0);
      one.destroy();
      two.destroy();
      await running.end();
    });
  });
}

describe.skipIf(!systemAvailable())('connections that move between epoll loops', () => {
  it('are served by the loop that is given their descriptor, with their names', async () => {
    const before = openDescriptors();
    const opened: [number, number][] = [];
    const names: string[] = [];
    const front = startLoop('epoll', () => ({}));
    const back = startLoop('epoll', (loop) => ({
      ...echoHandler(loop),
      onOpen(conn, listener) {
        opened.push([conn, listener]);
        names.push(loop.peerName(conn), loop.localName(conn));
      },
    }));
    front.loop.onAccepted = (fd, listener) => back.loop.adopt!(fd, listener.id + 7, '') >= 0;
    const { port, id } = await front.loop.listenTcp(HOST, 0, 16);
    const peer = await connect(port);
    const answer = receive(peer, 5);
    peer.write('hello');
    expect(String(await answer)).toBe('hello');
    expect(opened).toEqual([[0, id + 7]]);
    expect(names).toEqual([`${HOST}:${(peer.address() as net.AddressInfo).port}`, `${HOST}:${port}`]);
    expect([front.loop.connectionCount, back.loop.connectionCount]).toEqual([0, 1]);
    expect(front.loop.counters.accepted).toBe(1);
    peer.destroy();
    await until('it is closed', () => back.loop.connectionCount === 0);
    await front.end();
    await back.end();
    await until('every descriptor is given back', () => openDescriptors() <= before);
  });

  it('are refused when the answer is no', async () => {
    const running = startLoop('epoll', () => ({}));
    running.loop.onRefused = () => Buffer.from('too many');
    running.loop.onAccepted = () => false;
    const { port } = await running.loop.listenTcp(HOST, 0, 16);
    const peer = await connect(port);
    expect(String(await receive(peer, 8))).toBe('too many');
    peer.destroy();
    await running.end();
  });

  it('leave when what was written has been sent, and take the input with them that was not consumed', async () => {
    const reasons: number[] = [];
    const total = 30 * 1024 * 1024;
    const bytes = new Uint8Array(total).map((_, i) => i * 7);
    const back = startLoop('epoll', echoHandler);
    let moved = 0;
    const front = startLoop('epoll', (loop) => ({
      onInput(conn, start) {
        sendBytes(loop, conn, bytes);
        loop.detach!(conn, (fd, input) => {
          moved++;
          expect(back.loop.adopt!(fd, 3, '', input)).toBe(0);
        });
        return start + 2;
      },
      onClose: (_conn, reason) => reasons.push(reason),
    }));
    const { port } = await front.loop.listenTcp(HOST, 0, 16);
    const peer = await connect(port);
    peer.pause();
    peer.write('gorest');
    await until('it is on its way', () => front.loop.outputBytes(0) > 0 && front.loop.outputBytes(0) < total);
    expect(moved).toBe(0);
    // What comes now is read by the other loop.
    peer.write(' and more');
    const received = receive(peer, total + 13);
    peer.resume();
    const all = await received;
    expect(Buffer.compare(all.subarray(0, total), bytes)).toBe(0);
    expect(String(all.subarray(total))).toBe('rest and more');
    expect(reasons).toEqual([MOVED]);
    expect([front.loop.connectionCount, back.loop.connectionCount]).toEqual([0, 1]);
    peer.destroy();
    await front.end();
    await back.end();
  });

  it('are closed as usual when their peer goes away before they have left', async () => {
    const reasons: number[] = [];
    let moved = 0;
    const front = startLoop('epoll', (loop) => ({
      onInput(conn, _start, end) {
        sendBytes(loop, conn, new Uint8Array(20 * 1024 * 1024));
        loop.detach!(conn, () => moved++);
        return end;
      },
      onClose: (_conn, reason) => reasons.push(reason),
    }));
    const { port } = await front.loop.listenTcp(HOST, 0, 16);
    const peer = await connect(port);
    peer.pause();
    peer.write('go');
    await until('it is on its way', () => front.loop.outputBytes(0) > 0);
    peer.resetAndDestroy();
    await until('it is closed', () => reasons.length === 1);
    expect(reasons[0]).not.toBe(MOVED);
    expect(moved).toBe(0);
    await front.end();
  });
});
