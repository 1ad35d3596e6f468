/** The build's last step writes numbers in the place of exported constants, and leaves everything else as it was. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ConstantInliner } from '../../harness/build/inline-constants.ts';

/** The text of `/a.js` after it; `others` by path. */
function rewritten(text: string, others: Record<string, string> = {}): string {
  return new ConstantInliner(new Map([['/a.js', text], ...Object.entries(others)])).rewrite('/a.js');
}

const LAYOUT = {
  '/b.js':
    'const HIDDEN = 7;\nexport const FOUR = 4;\nexport const LESS = -1;\nexport const SUM = FOUR * 2 + HIDDEN;\nexport const TEXT = "four";',
};

describe('Constants in compiled modules', () => {
  it.each([
    ['imported by name', "import { FOUR } from './b.js';\nf(FOUR);", "import { FOUR } from './b.js';\nf(4);"],
    [
      'imported by another name',
      "import { FOUR as N } from './b.js';\nx = N | 1;",
      "import { FOUR as N } from './b.js';\nx = 4 | 1;",
    ],
    ['of a namespace', "import * as B from './b.js';\nx[B.FOUR] = B.SUM;", "import * as B from './b.js';\nx[4] = 15;"],
    ['below zero', "import { LESS } from './b.js';\nx = 1 - LESS;", "import { LESS } from './b.js';\nx = 1 - (-1);"],
    [
      'in a shorthand property',
      "import { FOUR } from './b.js';\nx = { FOUR };",
      "import { FOUR } from './b.js';\nx = { FOUR: 4 };",
    ],
    [
      'whose methods are called',
      "import { FOUR } from './b.js';\nx = FOUR.toFixed();",
      "import { FOUR } from './b.js';\nx = (4).toFixed();",
    ],
    [
      'as a default value',
      "import { FOUR } from './b.js';\nf = (a = FOUR) => a;",
      "import { FOUR } from './b.js';\nf = (a = 4) => a;",
    ],
    [
      'in a template',
      "import { FOUR } from './b.js';\nx = `$\u007bFOUR} FOUR`;",
      "import { FOUR } from './b.js';\nx = `$\u007b4} FOUR`;",
    ],
    ['exported and used in the same module', 'export const A = 1 << 4;\nx = A;', 'export const A = 1 << 4;\nx = 16;'],
    ['exported at the end', 'const A = 3;\nx = A;\nexport { A };', 'const A = 3;\nx = 3;\nexport { A };'],
    [
      'made of others',
      "import { FOUR } from './b.js';\nexport const B = ~FOUR;\nx = B;",
      "import { FOUR } from './b.js';\nexport const B = ~4;\nx = (-5);",
    ],
  ])('%s become numbers', (_, before, after) => {
    expect(rewritten(before, LAYOUT)).toBe(after);
  });

  it.each([
    ['text', "import { TEXT } from './b.js';\nx = TEXT;"],
    ['what is not exported there', "import { HIDDEN } from './b.js';\nx = HIDDEN;"],
    [
      'names of properties',
      "import { FOUR } from './b.js';\nx = { FOUR: 1 }; y.FOUR = x.FOUR; class C { FOUR = 2; static FOUR() {} }",
    ],
    ['strings and comments', "import { FOUR } from './b.js';\nx = 'FOUR'; // FOUR"],
    ['a parameter of that name', "import { FOUR } from './b.js';\nf = (FOUR) => FOUR;"],
    [
      'a variable of that name within',
      "import { FOUR } from './b.js';\nfunction f() { const { a: [FOUR] } = g(); return FOUR; }",
    ],
    ['a caught error of that name', "import { FOUR } from './b.js';\ntry { f(); } catch (FOUR) { g(FOUR); }"],
    ['a namespace that is hidden within', "import * as B from './b.js';\nf = (B) => B.FOUR;"],
    ['what is computed when the program runs', 'export const A = Date.now();\nx = A;'],
    ['variables', 'export let A = 4;\nx = A;'],
    ['constants that are made of themselves', "import { C } from './c.js';\nexport const A = C;\nx = A;"],
    ['what another package exports', "import { constants } from 'node:os';\nx = constants;"],
    ['what is only local, which V8 knows', 'const A = 4;\nx = A;'],
  ])('%s stay', (_, text) => {
    expect(rewritten(text, { ...LAYOUT, '/c.js': "import { A } from './a.js';\nexport const C = A;" })).toBe(text);
  });

  it('of a module that cannot be parsed are an error that names it', () => {
    expect(() => rewritten('x = ;')).toThrow(/Cannot parse \/a\.js: Unexpected token/);
  });

  it('are all replaced in the engines as they are built, and a second time changes nothing', () => {
    const folder = fileURLToPath(new URL('../../dist/engines/', import.meta.url));
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'));
    const files = new Map(names.map((name) => [folder + name, readFileSync(folder + name, 'utf8')]));
    const inliner = new ConstantInliner(files);
    for (const [path, text] of files) expect(inliner.rewrite(path), path).toBe(text);
    expect(files.get(`${folder}memcached/items.js`)).not.toMatch(/\bL\.ITEM_/);
  });
});
