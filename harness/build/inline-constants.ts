/**
 * The last step of the build: writes the numbers in the place of the names of exported constants, in compiled modules.
 *
 * V8 reads an exported constant from its module's cell each time it is used, in the module that defines it as well, and checks that it is a number; only
 * what is local to a module does it compile into the code. The engines name every field of every struct and every flag by such constants. With
 * the numbers in their place, measured without sockets on Node 20, a SET of the Memcached-like engine takes 220 ns instead of 265, `mg` 145 instead of 165.
 *
 * Only what follows from the source text alone is a constant here: numbers, arithmetic with them, and other constants.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve as resolvePath } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type AnyNode, type Expression, type Identifier, type Node, type Pattern, type Program, parse } from 'acorn';

/** A compiled module. */
interface Module {
  readonly text: string;
  readonly program: Program;
  /** Initial values of its top-level `const`s by name. */
  readonly constants: Map<string, Expression>;
  /** What its exports are called inside. */
  readonly exports: Map<string, string>;
  /** Where names come from: the module's path, and the name there; `*` for all of it. */
  readonly imports: Map<string, { readonly path: string; readonly name: string }>;
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

const OPERATIONS: Record<string, (a: number, b: number) => number> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
  '**': (a, b) => a ** b,
  '<<': (a, b) => a << b,
  '>>': (a, b) => a >> b,
  '>>>': (a, b) => a >>> b,
  '&': (a, b) => a & b,
  '|': (a, b) => a | b,
  '^': (a, b) => a ^ b,
};

/** Calls `visit` for a node and all within it, with the node around each and the property that it is there. */
function walk(node: Node, visit: (node: AnyNode, parent: AnyNode | null, key: string) => void): void {
  const go = (at: AnyNode, parent: AnyNode | null, key: string): void => {
    visit(at, parent, key);
    for (const [name, value] of Object.entries(at)) {
      for (const child of Array.isArray(value) ? value : [value]) {
        if (child !== null && typeof child === 'object' && typeof child.type === 'string') go(child, at, name);
      }
    }
  };
  go(node as AnyNode, null, '');
}

/** Names that a declaration's left side or a parameter binds. */
function boundNames(pattern: Pattern): string[] {
  switch (pattern.type) {
    case 'Identifier':
      return [pattern.name];
    case 'ArrayPattern':
      return pattern.elements.flatMap((element) => (element === null ? [] : boundNames(element)));
    case 'ObjectPattern':
      return pattern.properties.flatMap((property) =>
        boundNames(property.type === 'RestElement' ? property.argument : property.value),
      );
    case 'RestElement':
      return boundNames(pattern.argument);
    case 'AssignmentPattern':
      return boundNames(pattern.left);
    default:
      return [];
  }
}

function readModule(path: string, text: string): Module {
  const program = parse(text, { ecmaVersion: 'latest', sourceType: 'module', allowHashBang: true });
  const constants = new Map<string, Expression>();
  const exports = new Map<string, string>();
  const imports = new Map<string, { path: string; name: string }>();
  const nameOf = (node: AnyNode): string => (node.type === 'Identifier' ? node.name : '');
  for (const statement of program.body) {
    if (statement.type === 'ImportDeclaration') {
      const from = String(statement.source.value);
      if (!from.startsWith('.')) continue;
      for (const specifier of statement.specifiers) {
        if (specifier.type === 'ImportDefaultSpecifier') continue;
        const name = specifier.type === 'ImportNamespaceSpecifier' ? '*' : nameOf(specifier.imported);
        imports.set(specifier.local.name, { path: resolvePath(path, '..', from), name });
      }
      continue;
    }
    const declaration = statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement;
    if (declaration?.type === 'VariableDeclaration' && declaration.kind === 'const') {
      for (const { id, init } of declaration.declarations) {
        if (id.type !== 'Identifier' || init === null || init === undefined) continue;
        constants.set(id.name, init);
        if (statement.type === 'ExportNamedDeclaration') exports.set(id.name, id.name);
      }
    }
    if (statement.type === 'ExportNamedDeclaration' && statement.source === null) {
      for (const { local, exported } of statement.specifiers) exports.set(nameOf(exported), nameOf(local));
    }
  }
  return { text, program, constants, exports, imports };
}

/** The modules of a program, whose exported constants are to be replaced by their numbers. */
export class ConstantInliner {
  readonly #modules = new Map<string, Module>();
  readonly #values = new Map<string, number | null>();

  /**
   * @param files compiled text by absolute path
   * @throws SyntaxError when one cannot be parsed
   */
  constructor(files: ReadonlyMap<string, string>) {
    for (const [path, text] of files) {
      try {
        this.#modules.set(path, readModule(path, text));
      } catch (error) {
        throw new SyntaxError(`Cannot parse ${path}: ${(error as Error).message}`, { cause: error });
      }
    }
  }

  /** Value of a top-level constant of a module, or null. */
  #constant(path: string, name: string): number | null {
    const key = `${path}\n${name}`;
    const known = this.#values.get(key);
    if (known !== undefined) return known;
    // Who asks for itself on the way gets no value.
    this.#values.set(key, null);
    const init = this.#modules.get(path)?.constants.get(name);
    const value = init === undefined ? null : this.#evaluate(path, init);
    this.#values.set(key, value);
    return value;
  }

  #exported(path: string, name: string): number | null {
    const local = this.#modules.get(path)?.exports.get(name);
    return local === undefined ? null : this.#named(path, local);
  }

  /** What a name means at the top level of a module. */
  #named(path: string, name: string): number | null {
    const imported = this.#modules.get(path)?.imports.get(name);
    return imported === undefined ? this.#constant(path, name) : this.#exported(imported.path, imported.name);
  }

  #evaluate(path: string, node: Expression): number | null {
    switch (node.type) {
      case 'Literal':
        return typeof node.value === 'number' ? node.value : null;
      case 'ParenthesizedExpression':
        return this.#evaluate(path, node.expression);
      case 'Identifier':
        return this.#named(path, node.name);
      case 'MemberExpression':
        return this.#member(path, node);
      case 'UnaryExpression': {
        const value = this.#evaluate(path, node.argument);
        if (value === null) return null;
        if (node.operator === '-') return -value;
        return node.operator === '~' ? ~value : null;
      }
      case 'BinaryExpression': {
        const operation = OPERATIONS[node.operator];
        if (operation === undefined || node.left.type === 'PrivateIdentifier') return null;
        const left = this.#evaluate(path, node.left);
        const right = this.#evaluate(path, node.right);
        return left === null || right === null ? null : operation(left, right);
      }
      default:
        return null;
    }
  }

  /** `NAMESPACE.NAME`. */
  #member(path: string, node: AnyNode): number | null {
    if (node.type !== 'MemberExpression' || node.computed || node.property.type !== 'Identifier') return null;
    if (node.object.type !== 'Identifier') return null;
    const imported = this.#modules.get(path)?.imports.get(node.object.name);
    return imported?.name === '*' ? this.#exported(imported.path, node.property.name) : null;
  }

  /** The text of a module with numbers in place of imported and of exported constants. */
  rewrite(path: string): string {
    const module = this.#modules.get(path)!;
    const shadowed = this.#shadowedNames(module);
    const foreign = new Set([...module.imports.keys(), ...module.exports.values()]);
    const edits: Edit[] = [];
    walk(module.program, (node, parent, key) => {
      if (node.type === 'MemberExpression') {
        if (node.object.type === 'Identifier' && shadowed.has(node.object.name)) return;
        const value = this.#member(path, node);
        if (value !== null) edits.push(this.#edit(node, value, parent, key));
      } else if (node.type === 'Identifier' && parent !== null && foreign.has(node.name) && !shadowed.has(node.name)) {
        const value = isReference(node, parent, key) ? this.#named(path, node.name) : null;
        if (value !== null) edits.push(this.#edit(node, value, parent, key));
      }
    });
    return apply(module.text, edits);
  }

  #edit(node: Node, value: number, parent: AnyNode | null, key: string): Edit {
    const isObject = parent?.type === 'MemberExpression' && key === 'object';
    // String(-0) is "0".
    const number = Object.is(value, -0) ? '-0' : String(value);
    let text = isObject || number.startsWith('-') ? `(${number})` : number;
    if (parent?.type === 'Property' && parent.shorthand) text = `${(node as Identifier).name}: ${text}`;
    return { start: node.start, end: node.end, text };
  }

  /** Names that mean something else somewhere inside the module. */
  #shadowedNames(module: Module): Set<string> {
    const names = new Set<string>();
    const topLevel = new Set<Node>();
    for (const statement of module.program.body) {
      const declaration = statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement;
      if (declaration?.type === 'VariableDeclaration') topLevel.add(declaration);
    }
    walk(module.program, (node) => {
      if (node.type === 'VariableDeclaration' && !topLevel.has(node)) {
        for (const { id } of node.declarations) for (const name of boundNames(id)) names.add(name);
      } else if ('params' in node && Array.isArray(node.params)) {
        for (const parameter of node.params as Pattern[]) for (const name of boundNames(parameter)) names.add(name);
      } else if (node.type === 'CatchClause' && node.param) {
        for (const name of boundNames(node.param)) names.add(name);
      }
    });
    return names;
  }
}

/** Whether an identifier stands for a value there, and is not a name of something else. */
function isReference(node: AnyNode, parent: AnyNode, key: string): boolean {
  switch (parent.type) {
    case 'MemberExpression':
      return key === 'object' || parent.computed;
    case 'Property':
      // `{ NAME }` is met twice, as key and as value.
      return key === 'value' || parent.computed;
    case 'MethodDefinition':
    case 'PropertyDefinition':
      return key !== 'key' || parent.computed;
    case 'VariableDeclarator':
      return key === 'init';
    case 'ImportSpecifier':
    case 'ImportNamespaceSpecifier':
    case 'ExportSpecifier':
    case 'LabeledStatement':
    case 'BreakStatement':
    case 'ContinueStatement':
      return false;
    default:
      return node.type === 'Identifier';
  }
}

function apply(text: string, edits: readonly Edit[]): string {
  let result = '';
  let at = 0;
  for (const { start, end, text: replacement } of [...edits].sort((a, b) => a.start - b.start)) {
    result += text.slice(at, start) + replacement;
    at = end;
  }
  return result + text.slice(at);
}

/** Rewrites all modules of a folder. */
function inlineConstants(folder: string): void {
  const files = new Map<string, string>();
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (name.endsWith('.js')) files.set(resolvePath(folder, name), readFileSync(join(folder, name), 'utf8'));
  }
  const inliner = new ConstantInliner(files);
  for (const [path, text] of files) {
    const rewritten = inliner.rewrite(path);
    if (rewritten !== text) writeFileSync(path, rewritten);
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  inlineConstants(process.argv[2] ?? 'dist/engines');
}
