/** Times to live of stored values. */
import type { Random } from '../../engines/ports.ts';
import type { TtlSpec } from '../../scenarios/spec.ts';
import { AliasTable } from './alias.ts';

export interface TtlDistribution {
  /** @returns whole seconds; 0: no expiry */
  next(random: Random): number;
}

export function createTtl(spec: TtlSpec): TtlDistribution {
  switch (spec.kind) {
    case 'none':
      return { next: () => 0 };
    case 'fixed': {
      const { seconds } = spec;
      return { next: () => seconds };
    }
    case 'uniform': {
      const { min, max } = spec;
      return { next: (random) => min + random.nextBelow(max - min + 1) };
    }
    case 'list': {
      const table = new AliasTable(spec.entries.map((entry) => entry.weight));
      const seconds = Float64Array.from(spec.entries, (entry) => entry.seconds);
      return { next: (random) => seconds[table.pick(random.nextFloat())] };
    }
  }
}
