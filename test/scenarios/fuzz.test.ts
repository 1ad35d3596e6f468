import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createWorkload } from '../../harness/workload/workload.ts';
import { builtInFolder, builtInNames, templateText } from '../../scenarios/load.ts';
import { readScenario, ScenarioError } from '../../scenarios/schema.ts';
import { seededRandom } from '../support/seed.ts';

const random = seededRandom('scenario files');

const pick = <T>(list: readonly T[]): T => list[random.nextBelow(list.length)];

const TOKENS = [
  '-1',
  '0',
  '1e999',
  '.inf',
  '.nan',
  'null',
  '~',
  '[]',
  '{}',
  '""',
  'true',
  '*a',
  '&a',
  '!!binary x',
  '!!set {a}',
  '? a',
  '- ',
  ': ',
  '\t',
  '#',
  '%',
  '|',
  '>',
  "'",
  '"',
  '{',
  '}',
  '[',
  ']',
  '\u0000',
  '\u2028',
  '🦊',
  '10 parsecs',
  '__proto__: 1',
  'constructor: {}',
  '9'.repeat(400),
  '2001-01-01',
  '0x1F',
  '0o7',
  'kind: zipf',
  'matrix: {a.b: [1]}',
  'matrix: {__proto__: [1], "": [2]}',
  '<<: *a',
  '..',
  'etc',
  '50%',
  '--- ',
  '...',
];

function mutate(text: string): string {
  let result = text;
  for (let times = 1 + random.nextBelow(4); times > 0; times--) {
    const lines = result.split('\n');
    const at = random.nextBelow(lines.length);
    switch (random.nextBelow(7)) {
      case 0:
        lines.splice(at, 1);
        break;
      case 1:
        lines.splice(at, 0, pick(lines));
        break;
      case 2:
        lines[at] = lines[at].replace(/:.*/, `: ${pick(TOKENS)}`);
        break;
      case 3:
        lines[at] = `${' '.repeat(random.nextBelow(4))}${lines[at]}`;
        break;
      case 4: {
        const cut = random.nextBelow(lines[at].length + 1);
        lines[at] = lines[at].slice(0, cut) + pick(TOKENS) + lines[at].slice(cut);
        break;
      }
      case 5: {
        const cut = random.nextBelow(lines[at].length + 1);
        lines[at] = lines[at].slice(0, cut) + String.fromCharCode(random.nextBelow(128)) + lines[at].slice(cut + 1);
        break;
      }
      default:
        lines[at] = lines[at].replace(/\d+/, () => pick(TOKENS));
    }
    result = lines.join('\n');
  }
  return result;
}

describe('scenario files with random mistakes', () => {
  it('are read, or refused by a ScenarioError that says something', () => {
    const texts = [
      ...builtInNames().map((name) => readFileSync(join(builtInFolder(), `${name}.yaml`), 'utf8')),
      templateText(),
    ];
    let refused = 0;
    let read = 0;
    const until = performance.now() + 4000;
    while (performance.now() < until) {
      const text = mutate(pick(texts));
      const set =
        random.nextBelow(4) === 0
          ? [
              `${pick(['a', 'memory.limit', 'ttl.kind', 'targets.0', 'matrix', 'mix', 'popularity.exponent', '__proto__.x', 'dataset.valueSize.entries'])}=${pick(TOKENS)}`,
            ]
          : [];
      try {
        const plan = readScenario(text, 'fuzz.yaml', { set });
        read++;
        expect(plan.cells.length).toBeGreaterThan(0);
        const { scenario } = plan.cells[plan.cells.length - 1];
        // What is accepted must be usable: small data sets are tried out.
        if (scenario.kind === 'load' && scenario.dataset.keys <= 1_000_000) createWorkload(scenario, 's').next();
      } catch (error) {
        if (!(error instanceof ScenarioError)) throw new Error(`--set ${set}:\n${text}`, { cause: error });
        refused++;
        expect(error.problems.length).toBeGreaterThan(0);
        for (const problem of error.problems) {
          // Words in quotes are the file's own.
          expect(problem.text.replace(/".*?"/g, ''), text).not.toMatch(/undefined|\[object|NaN|^expected /);
          expect(problem.text.length).toBeGreaterThan(3);
        }
      }
    }
    expect(refused).toBeGreaterThan(50);
    expect(read).toBeGreaterThan(5);
  });
});
