import { childrenOf, type Expression, type Node } from './ast.ts';

const COMPARISONS: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>=']);

/** Whether an expression only compares fields and literals and joins that by logic: no functions, macros, arithmetic or lists. */
export function isPlain({ root }: Expression): boolean {
  return isPlainNode(root);
}

function isPlainNode(node: Node): boolean {
  switch (node.op) {
    case 'has':
    case 'choose':
    case 'list':
    case 'map':
    case 'call':
    case 'each':
      return false;
    case 'binary':
      return COMPARISONS.has(node.operator) && childrenOf(node).every(isPlainNode);
    default:
      return childrenOf(node).every(isPlainNode);
  }
}
