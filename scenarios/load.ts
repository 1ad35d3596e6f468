/** Finds scenarios: the built-in ones by name, any other by its file. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { problemOf, ScenarioError, suggestion } from './error.ts';
import { type ReadOptions, readScenario } from './schema.ts';
import type { ScenarioPlan } from './spec.ts';

export { ScenarioError } from './error.ts';
export { addTarget } from './schema.ts';

/**
 * The built-in scenarios lie beside the sources. The compiled form of this module lies below dist/, where no YAML is copied to, so
 * the package's root is looked for upwards from here.
 */
export function builtInFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('Cannot find the built-in scenarios: no package.json above this module');
    folder = parent;
  }
  return join(folder, 'scenarios');
}

/** The JSON Schema that lies beside the built-in scenarios, for editors. */
export function schemaPath(): string {
  return join(builtInFolder(), 'scenario.schema.json');
}

/** The text of a scenario to start from, every field explained. Its first line (the schema's place) is for the writer to set. */
export function templateText(): string {
  return readFileSync(join(builtInFolder(), 'template', 'scenario.yaml'), 'utf8');
}

/** Names of the built-in scenarios, the quick one first. */
export function builtInNames(): string[] {
  return readdirSync(builtInFolder())
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => basename(file, '.yaml'))
    .sort((a, b) => Number(b === 'quickstart') - Number(a === 'quickstart') || a.localeCompare(b));
}

export interface ScenarioSource {
  /** A built-in's name, or the path as given. */
  source: string;
  text: string;
  builtIn: boolean;
}

/**
 * @param nameOrPath a built-in's name, or a path (whatever contains a separator or ends in .yaml, .yml or .json is a path)
 * @throws ScenarioError when there is none, naming the known ones
 */
export function findScenario(nameOrPath: string): ScenarioSource {
  const names = builtInNames();
  if (names.includes(nameOrPath)) {
    return {
      source: nameOrPath,
      text: readFileSync(join(builtInFolder(), `${nameOrPath}.yaml`), 'utf8'),
      builtIn: true,
    };
  }
  const isPath = /[\\/]|\.(ya?ml|json)$/i.test(nameOrPath);
  if (!isPath && !existsSync(nameOrPath)) {
    const text = `is neither a built-in scenario nor a file${suggestion(nameOrPath, names)}`;
    throw new ScenarioError(nameOrPath, [problemOf(text)]);
  }
  try {
    if (!statSync(nameOrPath).isFile()) throw new ScenarioError(nameOrPath, [problemOf('is no file')]);
    return { source: nameOrPath, text: readFileSync(nameOrPath, 'utf8'), builtIn: false };
  } catch (error) {
    if (error instanceof ScenarioError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    const why =
      code === 'ENOENT'
        ? `there is no such file; built-in scenarios are ${names.join(', ')}`
        : `cannot be opened (${code})`;
    throw new ScenarioError(nameOrPath, [problemOf(why)]);
  }
}

/** Finds and reads a scenario. The environment of this process is used for ${NAME} in target URLs. */
export function loadScenario(nameOrPath: string, options: ReadOptions = {}): ScenarioPlan {
  const { source, text } = findScenario(nameOrPath);
  return readScenario(text, source, { env: process.env, ...options });
}
