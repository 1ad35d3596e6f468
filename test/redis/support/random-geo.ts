/** Random geo commands. */
import type { Draw } from './draw.ts';
import type { RandomCommand } from './random-commands.ts';

const KEYS = ['geo0', 'geo1', 'geo2'];
/** Where distances are stored. Their last digit is the C library's, which is not always the nearest: they are not told as scores. */
const DISTANCES = 'geodist';
/** More than a listpack holds. */
const MANY = 150;
const PLACES = [
  ['13.361389', '38.115556'],
  ['15.087269', '37.502669'],
  ['-180', '-85.05112878'],
  ['180', '85.05112878'],
  ['0', '0'],
  ['-0.0001', '0.0001'],
  ['179.9999', '10'],
  ['-179.9999', '10'],
];

function key(d: Draw): string {
  return d.chance(20) ? d.key() : d.pick(KEYS);
}

function place(d: Draw): readonly string[] {
  if (d.chance(40))
    return d.pick([
      ['x', '1'],
      ['181', '0'],
      ['0', '-86'],
      ['1', 'inf'],
      ['nan', '1'],
      ['1e22', '5'],
    ]);
  return d.pick<() => readonly string[]>([
    () => d.pick(PLACES),
    () => [String(d.random.nextFloat() * 360 - 180), String(d.random.nextFloat() * 170 - 85)],
    () => [String(13 + d.random.nextFloat()), String(38 + d.random.nextFloat())],
    () => [String(d.below(10) * 36 - 180), String(d.below(10) * 17 - 85)],
  ])();
}

function member(d: Draw): string {
  return d.chance(10) ? d.member() : `m${d.below(40)}`;
}

function unit(d: Draw): string {
  return d.chance(40) ? 'cm' : d.word(d.pick(['M', 'KM', 'FT', 'MI']));
}

function size(d: Draw): string {
  if (d.chance(40)) return d.pick(['x', '-1', 'inf', '1e300', 'nan', '']);
  return d.pick([
    () => String(d.below(1000)),
    () => String(d.random.nextFloat() * 10 ** d.below(8)),
    () => d.pick(['0', '5000', '20000', '40000']),
  ])();
}

function add(d: Draw): RandomCommand {
  const options: string[] = [];
  while (d.chance(4)) options.push(d.word(d.pick(['NX', 'XX', 'CH', 'GT'])));
  if (d.chance(10)) {
    const from = d.below(500);
    return d.exact(
      'GEOADD',
      key(d),
      ...d.times(MANY, () => '').flatMap((_, i) => [...(d.chance(2) ? d.pick(PLACES) : place(d)), `m${from + i}`]),
    );
  }
  const args = ['GEOADD', key(d), ...options, ...d.some(8, () => '').flatMap(() => [...place(d), member(d)])];
  if (d.chance(40)) args.pop();
  return d.exact(...args);
}

/** Results without an order come in the order of cells: equal on both servers. */
function output(d: Draw): string[] {
  const options: string[] = [];
  if (d.chance(3)) options.push(d.word('WITHDIST'));
  if (d.chance(3)) options.push(d.word('WITHHASH'));
  if (d.chance(3)) options.push(d.word('WITHCOORD'));
  return options;
}

function order(d: Draw): string[] {
  const options: string[] = [];
  if (d.chance(2)) options.push(d.word(d.pick(['ASC', 'DESC'])));
  if (d.chance(2)) options.push(d.word('COUNT'), d.chance(12) ? d.integer() : String(1 + d.below(20)));
  if (d.chance(6)) options.push('ANY');
  return options;
}

function radius(d: Draw): RandomCommand {
  const byMember = d.chance(2);
  const name = `GEORADIUS${byMember ? 'BYMEMBER' : ''}`;
  const center = byMember ? [member(d)] : place(d);
  const fixed = [key(d), ...center, size(d), unit(d)];
  if (d.chance(4)) return d.exact(`${name}_RO`, ...fixed, ...output(d), ...order(d));
  if (d.chance(3)) {
    const output = d.chance(30) ? ['WITHDIST'] : [];
    const store = d.chance(2) ? [d.word('STORE'), d.pick(KEYS)] : [d.word('STOREDIST'), DISTANCES];
    return d.exact(name, ...fixed, ...order(d), ...store, ...output);
  }
  return d.exact(name, ...fixed, ...output(d), ...order(d), ...(d.chance(40) ? ['FROMMEMBER', 'x'] : []));
}

function search(d: Draw): RandomCommand {
  const center = d.chance(2) ? ['FROMMEMBER', member(d)] : ['FROMLONLAT', ...place(d)];
  const shape = d.chance(2) ? ['BYRADIUS', size(d), unit(d)] : ['BYBOX', size(d), size(d), unit(d)];
  const options = [...center, ...shape, ...order(d)];
  if (d.chance(30)) options.splice(d.below(options.length), 1);
  if (!d.chance(3)) return d.exact('GEOSEARCH', key(d), ...options, ...output(d));
  const distances = d.chance(2);
  if (distances) options.push(d.word('STOREDIST'));
  if (d.chance(30)) options.push('WITHDIST');
  return d.exact('GEOSEARCHSTORE', distances ? DISTANCES : d.pick(KEYS), key(d), ...options);
}

function look(d: Draw): RandomCommand {
  const of = key(d);
  return d.exact(
    ...d.pick<() => string[]>([
      () => ['GEOPOS', of, ...d.some(5, () => member(d))],
      () => ['GEOHASH', of, ...d.some(5, () => member(d))],
      () => ['GEODIST', of, member(d), member(d), ...(d.chance(2) ? [unit(d)] : []), ...(d.chance(40) ? ['x'] : [])],
      () => ['ZRANGE', of, '0', '-1', 'WITHSCORES'],
      () => ['OBJECT', 'ENCODING', of],
      () => ['ZADD', of, d.score(), member(d)],
      () => ['ZREM', of, ...d.some(8, () => member(d))],
      () => ['DEL', of],
      () => ['ZRANGE', DISTANCES, '0', '-1'],
    ])(),
  );
}

/** A command of the geo group, or one that looks at what those have made or puts other scores among the places. */
export function randomGeoCommand(d: Draw): RandomCommand {
  switch (d.below(6)) {
    case 0:
    case 1:
      return add(d);
    case 2:
      return radius(d);
    case 3:
      return search(d);
    default:
      return look(d);
  }
}
