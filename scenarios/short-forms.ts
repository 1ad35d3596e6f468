/**
 * Short forms: "zipf 0.99" instead of { kind: zipf, exponent: 0.99 }. They are spread out before the schema looks at a file, so that
 * there is one place that checks units and ranges, and so that a matrix can list values that are single words.
 */
import { quote } from './units.ts';

type Long = Record<string, unknown>;
/** @returns the long form, or an error phrase */
type Expander = (text: string) => Long | string | boolean | null;

const words = (text: string): string[] => text.trim().split(/\s+/);

/** "64 B..4 KiB": two quantities. */
function range(text: string): [string, string] | null {
  const parts = text.split('..');
  return parts.length === 2 && parts[0].trim() !== '' && parts[1].trim() !== '' ? [parts[0], parts[1]] : null;
}

function expandPopularity(text: string): Long | string {
  const [kind, ...rest] = words(text);
  if ((kind === 'uniform' || kind === 'sequential') && rest.length === 0) return { kind };
  if ((kind === 'zipf' || kind === 'latest') && rest.length <= 1) return { kind, exponent: numeric(rest[0] ?? '0.99') };
  if (kind === 'gaussian' && (rest.length === 0 || rest.length === 2)) {
    return { kind, mean: rest[0] ?? '50%', deviation: rest[1] ?? '10%' };
  }
  if (kind === 'hotspot' && (rest.length === 0 || rest.length === 2)) {
    return { kind, keys: rest[0] ?? '20%', operations: rest[1] ?? '80%' };
  }
  return `must be uniform, sequential, "zipf 0.99", "latest 0.99", "gaussian 50% 10%" or "hotspot 20% 80%", not ${quote(text)}`;
}

/** Numbers of a short form are texts; where the schema wants a plain number it gets one. */
function numeric(text: string): number | string {
  return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
}

function expandSize(text: string): Long | string {
  if (text.trim() === 'etc') return { kind: 'generalized-pareto', location: 0, scale: 214.476, shape: 0.348238 };
  const ends = range(text);
  if (ends !== null) return { kind: 'uniform', min: ends[0], max: ends[1] };
  return { kind: 'fixed', bytes: text };
}

function expandTtl(text: string): Long | string {
  if (text.trim() === 'none' || text.trim() === '0') return { kind: 'none' };
  const ends = range(text);
  if (ends !== null) return { kind: 'uniform', min: ends[0], max: ends[1] };
  return { kind: 'fixed', seconds: text };
}

function expandDuration(text: string): Long | string {
  if (text.trim() === 'none' || text.trim() === '0') return { kind: 'none' };
  const ends = range(text);
  if (ends !== null) return { kind: 'uniform', min: ends[0], max: ends[1] };
  const exponential = /^\s*exponential\s+(\S.*)$/.exec(text);
  if (exponential !== null) return { kind: 'exponential', mean: exponential[1] };
  return { kind: 'fixed', ms: text };
}

function expandArrival(text: string): Long | string {
  const [kind, ...rest] = words(text);
  if (kind === 'closed' && rest.length === 0) return { kind };
  if ((kind === 'constant' || kind === 'poisson') && rest.length > 0) {
    return { kind: 'open', process: kind, rate: rest.join(' ') };
  }
  return `must be closed, "constant 5000/s" or "poisson 5000/s", not ${quote(text)}`;
}

/** "20% set": so many sets, and gets for the rest. */
function expandMix(text: string): Long | string {
  const match = /^\s*(\d+(?:\.\d+)?)\s*%\s*set\s*$/.exec(text);
  const sets = match === null ? Number.NaN : Number(match[1]);
  if (!(sets <= 100)) return `must be a map of weights, or "20% set" (the rest are gets), not ${quote(text)}`;
  return { get: 100 - sets, set: sets };
}

/** Fields that have a short form, outermost first. */
export const SHORT_FORMS: readonly { path: readonly string[]; expand: Expander }[] = [
  { path: ['dataset', 'valueSize'], expand: expandSize },
  { path: ['popularity'], expand: expandPopularity },
  { path: ['mix'], expand: expandMix },
  { path: ['ttl'], expand: expandTtl },
  { path: ['arrival'], expand: expandArrival },
  {
    path: ['cacheAside'],
    expand: (text) =>
      text === 'true'
        ? {}
        : text === 'false' || text === 'none'
          ? null
          : 'must be true, false or a map with originLatency',
  },
  { path: ['cacheAside', 'originLatency'], expand: expandDuration },
];

/** @returns the long form of a field's scalar, undefined if the field has none, or an error phrase */
export function expandScalar(path: readonly string[], value: unknown): Long | null | string | undefined {
  const form = SHORT_FORMS.find((entry) => entry.path.join('.') === path.join('.'));
  if (form === undefined || (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')) {
    return undefined;
  }
  // A number reads like its text, but for the unit: sizes may do without, durations may not, and the schema says so.
  return form.expand(String(value)) as Long | null | string;
}

function isMap(value: unknown): value is Long {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Replaces every short form in place by its long one.
 * @param report called for one that cannot be understood; the field is then removed, so that its default stands in for the further checks
 */
export function expandShortForms(root: Long, report: (path: string[], text: string) => void): void {
  for (const { path } of SHORT_FORMS) {
    let parent: unknown = root;
    for (const name of path.slice(0, -1)) parent = isMap(parent) && Object.hasOwn(parent, name) ? parent[name] : null;
    const last = path[path.length - 1];
    if (!isMap(parent) || !Object.hasOwn(parent, last)) continue;
    const long = expandScalar(path, parent[last]);
    if (long === undefined) continue;
    if (typeof long === 'string') {
      report([...path], long);
      delete parent[last];
    } else {
      parent[last] = long;
    }
  }
}
