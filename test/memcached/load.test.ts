import { describe, it } from 'vitest';
import { systemAvailable } from '../../engines/io/system.ts';
import { requireReal } from '../support/real.ts';
import { halfPackets, idleAndBusy, neverRead, tooMany } from './support/load-case.ts';

describe.skipIf(!systemAvailable())('a server under load', { timeout: 120_000 }, () => {
  it('serves 50 busy clients beside 2,000 idle ones', () => idleAndBusy(4, 2_000, 50, 1_500));

  for (const threads of [1, 3]) {
    it(`bounds what clients cost that never read, -t ${threads}`, () => neverRead(threads, 15));

    it(`tells clients that are too many so, -t ${threads}`, () => tooMany(threads, 3));

    it(`answers those that were silent after half a packet, -t ${threads}`, () => halfPackets('engine', threads, 20));
  }

  it.skipIf(requireReal('memcached') === null)('answers them as the original does', () => halfPackets('real', 2, 5));
});
