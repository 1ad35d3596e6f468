import { expect, it } from 'vitest';
import { ArenaExhausted, type Heap } from '../../../engines/redis/structures/heap.ts';
import { lpText } from '../../../engines/redis/structures/listpack.ts';
import { robjPtr } from '../../../engines/redis/structures/robj.ts';
import {
  STREAM_APPENDED,
  STREAM_ID_GIVEN,
  STREAM_ID_TOO_SMALL,
  streamAppend,
  streamLength,
  streamNew,
} from '../../../engines/redis/structures/stream.ts';
import { newStreamId, type StreamId, streamIdText } from '../../../engines/redis/structures/stream-id.ts';
import { StreamIterator } from '../../../engines/redis/structures/stream-iterator.ts';
import { renewFirstId, streamDelete, streamTrim } from '../../../engines/redis/structures/stream-trim.ts';
import { streamType, wrapStream } from '../../../engines/redis/types/stream.ts';
import { seededRandom } from '../../support/seed.ts';
import { structureLab } from './lab.ts';

const NAMES = ['name', 'other', '7', ''];

function idOf(value: number): StreamId {
  const id = newStreamId();
  id[1] = Math.floor(value / 3);
  id[3] = value % 3;
  return id;
}

function entriesOf(h: Heap, o: number, backwards: boolean): string[] {
  const s = robjPtr(h, o);
  const it = new StreamIterator(h, s);
  it.seek(s, null, null, backwards);
  const all: string[] = [];
  while (it.next()) {
    let text = streamIdText(it.id);
    for (let i = 0; i < it.fields; i++) {
      it.field();
      text += ` ${lpText(h, it.fieldAt)}=${lpText(h, it.valueAt)}`;
    }
    all.push(text);
  }
  return all;
}

it('a stream does what a list of entries does, also when memory runs out at any allocation', {
  timeout: 60_000,
}, () => {
  const { heap: h, allocator, memory } = structureLab('stream');
  const random = seededRandom('stream');
  const text = memory.takePages(4);
  const real = allocator.alloc.bind(allocator);
  let left = Number.POSITIVE_INFINITY;
  allocator.alloc = (bytes: number) => (left-- > 0 ? real(bytes) : 0);
  h.limits.streamNodeMaxEntries = 200;
  const base = allocator.usedBytes;
  const offsets = new Uint32Array(8);
  const lengths = new Uint32Array(8);
  let failures = 0;
  for (let round = 0; round < 4; round++) {
    const o = wrapStream(h, streamNew(h));
    const s = robjPtr(h, o);
    const model: { at: number; text: string }[] = [];
    let last = 0;
    for (let step = 0; step < 2_500; step++) {
      const scarce = round % 2 === 1 && random.nextBelow(3) === 0;
      left = scarce ? random.nextBelow(3) : Number.POSITIVE_INFINITY;
      const dice = random.nextBelow(100);
      try {
        if (dice < 70) {
          const pairs = 1 + random.nextBelow(random.nextBelow(5) === 0 ? 4 : 1);
          let at = text;
          let shown = '';
          for (let i = 0; i < pairs * 2; i++) {
            const length = random.nextBelow(30) === 0 ? 700 : 10;
            const part =
              i % 2 === 0
                ? NAMES[random.nextBelow(random.nextBelow(8) === 0 ? 4 : 1)]!
                : 'v'.repeat(random.nextBelow(length));
            offsets[i] = at;
            lengths[i] = part.length;
            at = h.putLatin1(part, at);
            shown += i % 2 === 0 ? ` ${part}=` : part;
          }
          const next = last + random.nextBelow(400);
          const id = idOf(next);
          const result = streamAppend(h, s, offsets, lengths, 0, pairs, STREAM_ID_GIVEN, 0, id);
          expect(result).toBe(next > last ? STREAM_APPENDED : STREAM_ID_TOO_SMALL);
          if (result !== STREAM_APPENDED) continue;
          last = next;
          model.push({ at: next, text: streamIdText(id) + shown });
        } else if (dice < 96) {
          const index = random.nextBelow(model.length + 1);
          const victim = model[index]?.at ?? random.nextBelow(last + 1);
          const known = model.findIndex((one) => one.at === victim);
          expect(streamDelete(h, s, idOf(victim))).toBe(known >= 0);
          if (known >= 0) model.splice(known, 1);
          renewFirstId(h, s);
        } else if (dice < 98) {
          const most = random.nextBelow(model.length + 50);
          const gone = streamTrim(h, s, most, null, false, 0);
          expect(gone).toBe(Math.max(0, model.length - most));
          model.splice(0, gone);
        } else {
          const bound = model[random.nextBelow(model.length + 1)]?.at ?? 0;
          const gone = streamTrim(h, s, 0, idOf(bound), random.nextBelow(2) === 0, 0);
          expect(gone).toBeLessThanOrEqual(model.filter((one) => one.at < bound).length);
          model.splice(0, gone);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(ArenaExhausted);
        failures++;
      }
      left = Number.POSITIVE_INFINITY;
      expect(streamLength(h, s)).toBe(model.length);
      if (step % 50 !== 0) continue;
      streamType.verify(h, o);
      const expected = model.map((one) => one.text);
      expect(entriesOf(h, o, false)).toEqual(expected);
      expect(entriesOf(h, o, true)).toEqual(expected.reverse());
    }
    streamType.free(h, o);
    h.free(o);
    expect(allocator.usedBytes).toBe(base);
  }
  expect(failures).toBeGreaterThan(3);
});
