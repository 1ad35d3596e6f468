import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Breach, checkHouse, type House } from './house-rules.ts';
import { scanSource } from './source-scan.ts';

const root = new URL('../../', import.meta.url);

function readHouse(): House {
  const files = new Map<string, string>();
  for (const folder of ['engines', 'harness', 'reports', 'scenarios', 'test']) {
    for (const name of readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })) {
      const path = `${folder}/${name.replaceAll('\\', '/')}`;
      if (path.endsWith('.ts')) files.set(path, readFileSync(new URL(path, root), 'utf8'));
    }
  }
  const manifest = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
  // What package.json's commands and scripts start.
  const scripts = Object.values(manifest.scripts as Record<string, string>).join(' ');
  const started = [
    ...Object.values(manifest.bin as Record<string, string>),
    ...(scripts.match(/dist\/\S+\.js/g) ?? []),
  ];
  const roots = started.map((path) => path.replace(/^dist\//, '').replace(/\.js$/, '.ts'));
  const names = (group: string): string[] => Object.keys(manifest[group] ?? {});
  return {
    files,
    roots,
    dependencies: names('dependencies'),
    devDependencies: names('devDependencies'),
  };
}

function lines(breaches: Breach[]): string[] {
  return breaches.map(({ file, line, text, rule }) => `${file}:${line} ${text} [${rule}]`);
}

describe('the house', () => {
  const house = readHouse();
  const breaches = checkHouse(house);

  it('has every import where the plan allows it, and no name of clocks or chance in the cores', () => {
    expect(lines(breaches.filter(({ rule }) => rule !== 'unreached' && rule !== 'circle'))).toEqual([]);
  });

  it('has no circle of imports', () => {
    expect(lines(breaches.filter(({ rule }) => rule === 'circle'))).toEqual([]);
  });

  it('has no file that nobody reaches', () => {
    expect(lines(breaches.filter(({ rule }) => rule === 'unreached'))).toEqual([]);
  });
});

describe('the rules', () => {
  const check = (files: Record<string, string>): string[] =>
    lines(
      checkHouse({
        files: new Map(Object.entries(files)),
        roots: ['harness/cli/main.ts'],
        dependencies: ['yargs'],
        devDependencies: ['vitest'],
      }).filter(({ rule }) => rule !== 'unreached'),
    );

  it('name file and line of a forbidden import', () => {
    const found = check({
      'engines/redis/a.ts': "/** text */\nimport { x } from '../io/b.ts';\n",
      'engines/io/b.ts': 'export const x = 1;',
    });
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/^engines\/redis\/a\.ts:2 imports engines\/io\/b\.ts, but engines\/redis may import only/);
  });

  it('find what cores must not name, but not in comments, texts and properties', () => {
    const source = [
      "const a = 'Date.now()'; // performance",
      '/* setTimeout */ const b = stats.performance; const re = /Date"/;',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text
      'const c = `Date ${Math.random()} ${`x${1}`}`;',
      'const d = new Date();',
    ].join('\n');
    expect(check({ 'engines/memory/a.ts': source })).toEqual([
      'engines/memory/a.ts:3 names Math.random: engines/memory is handed clocks, timers and chance [name]',
      'engines/memory/a.ts:4 names Date: engines/memory is handed clocks, timers and chance [name]',
    ]);
    expect(check({ 'engines/io/a.ts': source })).toEqual([]);
  });

  it('forbid packages and node modules in the cores, and undeclared packages anywhere', () => {
    expect(check({ 'engines/memcached/a.ts': "import fs from 'node:fs';" })[0]).toMatch(/may import no package/);
    expect(check({ 'harness/run/a.ts': "import x from 'left-pad';" })[0]).toMatch(/does not declare it/);
    expect(check({ 'harness/run/a.ts': "import { it } from 'vitest';" })[0]).toMatch(/for development only/);
    expect(check({ 'harness/run/a.ts': "import yargs from 'yargs/helpers';" })).toEqual([]);
  });

  it('find circles of what is left at run time', () => {
    const a = "import { b } from './b.ts';";
    expect(check({ 'engines/base/a.ts': a, 'engines/base/b.ts': "import type { A } from './a.ts';" })).toEqual([]);
    const found = check({ 'engines/base/a.ts': a, 'engines/base/b.ts': "export * from './a.ts';" });
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/circle of imports: engines\/base\/a\.ts -> engines\/base\/b\.ts -> engines\/base\/a\.ts/);
  });

  it('count as reached what a command imports or starts', () => {
    const breaches = checkHouse({
      files: new Map([
        ['harness/cli/main.ts', "import '../run/a.ts';\nconst late = await import('../run/c.ts');"],
        ['harness/run/a.ts', "const url = entryUrl(import.meta.url, './worker.ts');"],
        ['harness/run/worker.ts', ''],
        ['harness/run/c.ts', ''],
        ['harness/run/lost.ts', ''],
      ]),
      roots: ['harness/cli/main.ts'],
      dependencies: [],
      devDependencies: [],
    });
    expect(breaches.map(({ file, rule }) => `${file} ${rule}`)).toEqual(['harness/run/lost.ts unreached']);
  });

  it('read imports over several lines and of both kinds', () => {
    const { imports } = scanSource(
      "import {\n  a,\n  type B,\n} from './x.ts';\nimport type C from './y.ts';\nexport { d } from './z.ts';\n",
    );
    expect(imports).toEqual([
      { specifier: './x.ts', line: 4, typeOnly: false },
      { specifier: './y.ts', line: 5, typeOnly: true },
      { specifier: './z.ts', line: 6, typeOnly: false },
    ]);
  });
});
