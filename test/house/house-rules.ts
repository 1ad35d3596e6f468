/**
 * The rules of the house as data: which room a file belongs to and what that room may import. `checkHouse` finds every breach of
 * them in a set of files, so that the rules themselves can be tested on made-up trees.
 */
import { lineAt, type Scanned, scanSource } from './source-scan.ts';

/** What a room may import: rooms, or single folders and files of one. Its own room is always allowed, and engines/base. */
export interface Room {
  may: string[];
  /** Packages and `node:` modules: a list, or 'any' of those that package.json declares. */
  packages: string[] | 'any';
}

/** By path prefix; the longest that fits counts. A `.ts` file may be a room of its own. */
export const ROOMS: Record<string, Room> = {
  'engines/base': { may: [], packages: [] },
  'engines/ports.ts': { may: [], packages: [] },
  'engines/memory': { may: ['engines/ports.ts'], packages: [] },
  'engines/redis': { may: ['engines/ports.ts', 'engines/memory'], packages: [] },
  'engines/memcached': { may: ['engines/ports.ts', 'engines/memory'], packages: [] },
  // The interpreter is handed to the Redis-like core, which knows only its interface.
  'engines/lua': { may: ['engines/ports.ts', 'engines/redis'], packages: 'any' },
  'engines/io': { may: ['engines/ports.ts'], packages: 'any' },
  'engines/servers': { may: ['engines'], packages: 'any' },
  scenarios: { may: [], packages: 'any' },
  'harness/result.ts': { may: ['scenarios'], packages: 'any' },
  'harness/workload': { may: ['engines/ports.ts', 'scenarios', 'harness/result.ts'], packages: 'any' },
  'harness/arrival': { may: ['engines/ports.ts', 'scenarios', 'harness/result.ts'], packages: 'any' },
  'harness/measure': { may: ['engines/ports.ts', 'scenarios', 'harness/result.ts'], packages: 'any' },
  'harness/driver': {
    may: [
      ...['engines/ports.ts', 'engines/memory', 'engines/io', 'engines/redis/protocol', 'engines/memcached/protocol'],
      ...['scenarios', 'harness/result.ts', 'harness/workload', 'harness/arrival', 'harness/measure'],
    ],
    packages: 'any',
  },
  // The load plan is plain data: where a target listens is said in its words.
  'harness/target': {
    may: ['engines/servers', 'scenarios', 'harness/result.ts', 'harness/driver/load-plan.ts'],
    packages: 'any',
  },
  'harness/simulate': {
    may: [
      ...['engines/ports.ts', 'engines/memory', 'engines/redis', 'engines/memcached'],
      ...['scenarios', 'harness/result.ts', 'harness/workload', 'harness/arrival', 'harness/measure'],
    ],
    packages: 'any',
  },
  'harness/compare': { may: ['scenarios', 'harness/result.ts', 'harness/measure'], packages: 'any' },
  'harness/run': { may: ['harness', 'scenarios', 'engines/ports.ts', 'engines/io'], packages: 'any' },
  // Benchmarks look at the parts from inside, which is why they may reach into the engines.
  // Steps of the build: they read and write files and know of no engine.
  'harness/build': { may: [], packages: 'any' },
  'harness/bench': { may: ['harness', 'engines', 'scenarios'], packages: 'any' },
  'harness/cli': { may: ['harness', 'scenarios', 'engines', 'reports'], packages: 'any' },
  reports: { may: ['harness/result.ts'], packages: 'any' },
  test: { may: ['engines', 'harness', 'reports', 'scenarios'], packages: 'any' },
};

/** Rooms that are handed time and chance and therefore must not name where these come from. */
const DETERMINISTIC_ROOMS = [
  'engines/base',
  'engines/ports.ts',
  'engines/redis',
  'engines/memcached',
  'engines/memory',
];
const FORBIDDEN_NAMES =
  /(?<![.\w$#])(?:Date|performance|setTimeout|setInterval|setImmediate|queueMicrotask|process|require)\b(?!\s*[:?])|\bMath\.random\b/g;

/** What a breach is about. */
export type RuleName = 'import' | 'package' | 'missing' | 'circle' | 'unreached' | 'name' | 'room';

export interface Breach {
  rule: RuleName;
  file: string;
  line: number;
  text: string;
}

export interface House {
  /** Source text by path from the project's root, "/" between folders. */
  files: Map<string, string>;
  /** Files that something outside of the tree starts (package.json's bin and scripts). */
  roots: string[];
  /** Names of the packages that package.json declares, and those for development only. */
  dependencies: string[];
  devDependencies: string[];
}

function fits(path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(`${prefix}/`);
}

/** The room of a file, or null. */
export function roomOf(path: string): string | null {
  let best: string | null = null;
  for (const prefix of Object.keys(ROOMS))
    if (fits(path, prefix) && (best === null || prefix.length > best.length)) best = prefix;
  return best;
}

/** A relative specifier as a path from the root. */
export function resolvePath(from: string, specifier: string): string {
  const parts = from.split('/').slice(0, -1);
  for (const part of specifier.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.') parts.push(part);
  }
  return parts.join('/');
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function checkFile(path: string, scanned: Scanned, house: House, breaches: Breach[]): void {
  const room = roomOf(path);
  if (room === null) {
    breaches.push({
      rule: 'room',
      file: path,
      line: 1,
      text: 'lies in no room that the rules know: add the room to ROOMS',
    });
    return;
  }
  const rules = ROOMS[room];
  for (const { specifier, line } of scanned.imports) {
    if (specifier.startsWith('.')) {
      const target = resolvePath(path, specifier);
      if (target === 'package.json') continue;
      const targetRoom = roomOf(target);
      const allowed =
        targetRoom === room ||
        [...rules.may, 'engines/base'].some((prefix) => fits(target, prefix) && targetRoom !== null);
      if (!allowed) {
        const may = ['engines/base', ...rules.may].join(', ');
        breaches.push({
          rule: 'import',
          file: path,
          line,
          text: `imports ${target}, but ${room} may import only ${may}`,
        });
      } else if (!house.files.has(target)) {
        breaches.push({ rule: 'missing', file: path, line, text: `imports ${target}, which does not exist` });
      }
      continue;
    }
    const name = packageName(specifier);
    if (rules.packages !== 'any' && !rules.packages.includes(name)) {
      breaches.push({
        rule: 'package',
        file: path,
        line,
        text: `imports ${specifier}, but ${room} may import no package and no node: module`,
      });
    } else if (!specifier.startsWith('node:') && !house.dependencies.includes(name)) {
      const onlyForTests = house.devDependencies.includes(name);
      if (room === 'test' && onlyForTests) continue;
      const why = onlyForTests ? 'package.json has it for development only' : 'package.json does not declare it';
      breaches.push({ rule: 'package', file: path, line, text: `imports ${specifier}, but ${why}` });
    }
  }
  if (DETERMINISTIC_ROOMS.includes(room)) {
    for (const match of scanned.code.matchAll(FORBIDDEN_NAMES)) {
      const line = lineAt(scanned.code, match.index);
      breaches.push({
        rule: 'name',
        file: path,
        line,
        text: `names ${match[0]}: ${room} is handed clocks, timers and chance`,
      });
    }
  }
}

/** Finds circles of imports that are left when the program runs. */
function findCircles(scans: Map<string, Scanned>, breaches: Breach[]): void {
  const state = new Map<string, 'open' | 'done'>();
  const stack: string[] = [];
  const visit = (path: string): void => {
    state.set(path, 'open');
    stack.push(path);
    for (const { specifier, line, typeOnly } of scans.get(path)?.imports ?? []) {
      if (typeOnly || !specifier.startsWith('.')) continue;
      const target = resolvePath(path, specifier);
      if (!scans.has(target)) continue;
      if (state.get(target) === 'open') {
        const circle = [...stack.slice(stack.indexOf(target)), target].join(' -> ');
        breaches.push({ rule: 'circle', file: path, line, text: `closes a circle of imports: ${circle}` });
      } else if (!state.has(target)) visit(target);
    }
    stack.pop();
    state.set(path, 'done');
  };
  for (const path of scans.keys()) if (!state.has(path)) visit(path);
}

function findUnreached(scans: Map<string, Scanned>, house: House, breaches: Breach[]): void {
  const reached = new Set<string>();
  const open = [
    ...house.roots,
    ...[...scans.keys()].filter((path) => /\.test\.ts$/.test(path) || path === 'vitest.config.ts'),
  ];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (reached.has(path)) continue;
    reached.add(path);
    const scanned = scans.get(path);
    if (scanned === undefined) continue;
    for (const { specifier } of scanned.imports) if (specifier.startsWith('.')) open.push(resolvePath(path, specifier));
    for (const entry of scanned.entries) open.push(resolvePath(path, entry.replace(/\.js$/, '.ts')));
  }
  for (const path of scans.keys()) {
    if (reached.has(path)) continue;
    const text = 'is reached by nobody: no command, started entry or test leads to it';
    breaches.push({ rule: 'unreached', file: path, line: 1, text });
  }
}

/** Every breach of the rules, in the order of files. */
export function checkHouse(house: House): Breach[] {
  const breaches: Breach[] = [];
  const scans = new Map<string, Scanned>();
  for (const [path, source] of house.files) scans.set(path, scanSource(source));
  for (const [path, scanned] of scans) checkFile(path, scanned, house, breaches);
  findCircles(scans, breaches);
  findUnreached(scans, house, breaches);
  return breaches;
}
