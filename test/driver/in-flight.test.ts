import { describe, expect, test } from 'vitest';
import { FreePlaces, InFlight } from '../../harness/driver/in-flight.ts';
import { OriginHeap } from '../../harness/driver/origin-heap.ts';
import { seededRandom } from '../support/seed.ts';

describe('what is on its way', () => {
  test('comes back in order, per connection, and is stamped once', () => {
    const random = seededRandom('in flight');
    const ops = new InFlight(3, 5, 2);
    const model: { key: number; sent: number }[][] = [[], [], []];
    for (let step = 0; step < 20_000; step++) {
      const conn = random.nextBelow(3);
      const queue = model[conn]!;
      expect(ops.count(conn)).toBe(queue.length);
      if (random.nextBelow(10) === 0) {
        ops.stamp(conn, step);
        for (const op of queue) if (op.sent === 0) op.sent = step;
        expect(ops.unstamped(conn)).toBe(-1);
      } else if (queue.length < 5 && random.nextBelow(2) === 0) {
        const place = ops.push(conn);
        ops.keys[place * 2] = step;
        queue.push({ key: step, sent: 0 });
      } else if (queue.length > 0 && queue[0]!.sent > 0) {
        const place = ops.oldest(conn);
        const op = queue.shift()!;
        expect(ops.keys[place * 2]).toBe(op.key);
        expect(ops.sent[place]).toBe(op.sent);
        ops.shiftOldest(conn);
      } else if (random.nextBelow(50) === 0) {
        ops.clear(conn);
        queue.length = 0;
      }
    }
  });

  test('free places are taken in turn and forgotten with their connection', () => {
    const free = new FreePlaces(6);
    for (const conn of [0, 1, 2, 0, 1, 2]) free.add(conn);
    expect([free.take(), free.take()]).toEqual([0, 1]);
    free.drop(2);
    expect(free.size).toBe(2);
    free.add(5);
    expect([free.take(), free.take(), free.take()]).toEqual([0, 1, 5]);
  });

  test('misses leave the origin in the order of its answers', () => {
    const random = seededRandom('in flight');
    const heap = new OriginHeap();
    let model: { due: number; conn: number; key: number }[] = [];
    for (let step = 0; step < 6_000; step++) {
      if (step === 3_000) {
        heap.drop(3);
        model = model.filter((miss) => miss.conn !== 3);
      }
      if (random.nextBelow(3) > 0 || model.length === 0) {
        const miss = { due: random.nextFloat(), conn: random.nextBelow(10), key: step };
        expect(heap.add(miss.due, miss.conn, miss.key, step + 1)).toBe(true);
        model.push(miss);
      } else {
        model.sort((a, b) => b.due - a.due);
        const first = model.pop()!;
        expect(heap.nextUs).toBe(first.due);
        heap.take();
        expect([heap.dueUs, heap.conn, heap.key, heap.valueBytes]).toEqual([
          first.due,
          first.conn,
          first.key,
          first.key + 1,
        ]);
      }
    }
    expect(heap.size).toBe(model.length);
  }, 60_000);
});
