import type { FragmentDefinitionNode, GraphQLResolveInfo, SelectionNode } from 'graphql';

type Selection = Pick<GraphQLResolveInfo, 'fieldNodes' | 'fragments'>;

/** Whether the query asks for this field below the one that is answered; what `@skip` and `@include` say is not looked at. */
export function isSelected({ fieldNodes, fragments }: Selection, path: readonly string[]): boolean {
  return asks(
    fieldNodes.flatMap((node) => node.selectionSet?.selections ?? []),
    path,
    fragments,
  );
}

function asks(
  selections: readonly SelectionNode[],
  path: readonly string[],
  fragments: Readonly<Record<string, FragmentDefinitionNode>>,
): boolean {
  const [name, ...rest] = path;
  return selections.some((one) => {
    switch (one.kind) {
      case 'Field':
        return (
          one.name.value === name && (rest.length === 0 || asks(one.selectionSet?.selections ?? [], rest, fragments))
        );
      case 'InlineFragment':
        return asks(one.selectionSet.selections, path, fragments);
      case 'FragmentSpread':
        return asks(fragments[one.name.value]?.selectionSet.selections ?? [], path, fragments);
    }
  });
}
