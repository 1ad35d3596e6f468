import { describe, it } from 'vitest';
import { systemAvailable } from '../../engines/io/system.ts';
import { halfPackets, idleAndBusy, neverRead, tooMany } from './support/load-case.ts';

describe.skipIf(!systemAvailable())('a server under much load', { timeout: 600_000 }, () => {
  for (const threads of [1, 4]) {
    it(`serves 200 busy clients beside 10,000 idle ones, -t ${threads}`, () =>
      idleAndBusy(threads, 10_000, 200, 20_000));
  }

  it('bounds what 100 clients cost that never read', () => neverRead(4, 100));

  it('answers 2,000 clients that were silent after half a packet', () => halfPackets('engine', 4, 200));

  it('tells clients that are too many so, again and again', () => tooMany(4, 50));
});
