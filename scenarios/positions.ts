/** Where in a YAML text a field stands. */
import { type Document, isAlias, isMap, isNode, isScalar, isSeq, type LineCounter, type Node } from 'yaml';

export interface Position {
  line: number;
  column: number;
}

export type Path = readonly (string | number)[];

/**
 * @param key true: the place of the field's name (for a name that is wrong), false: that of its value
 * @returns the place of the field, or of the innermost field around it that the text has
 */
export function positionOf(document: Document, lines: LineCounter, path: Path, key: boolean): Position {
  let node: unknown = document.contents;
  let at: unknown = node;
  for (let i = 0; i < path.length; i++) {
    if (isAlias(node)) node = node.resolve(document);
    const step = path[i];
    if (isMap(node)) {
      const pair = node.items.find((item) => (isScalar(item.key) ? String(item.key.value) : null) === String(step));
      if (pair === undefined) break;
      // A value that is missing ("memory:") has no place of its own.
      at = (key && i === path.length - 1) || !isNode(pair.value) || !hasRange(pair.value) ? pair.key : pair.value;
      node = pair.value;
    } else if (isSeq(node)) {
      const item: unknown = node.items[Number(step)];
      if (!isNode(item)) break;
      at = node = item;
    } else {
      break;
    }
  }
  const offset = isNode(at) && at.range ? at.range[0] : 0;
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

function hasRange(node: Node): boolean {
  return node.range != null && node.range[1] > node.range[0];
}
