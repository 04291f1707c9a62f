import type { Op } from '../../core/model/call.ts';
import { canonicalJson } from './canonical.ts';
import { MAX_STEP_OUTPUT } from './limits.ts';
import { optionOf } from './opcode.ts';
import type { Opcode } from './opcode.ts';

/** Names of the history's notes beside a step: its input, and what was said of it (AI usage, experiments, scores). */
export const INPUT_NOTE = 'inngest/input';
export const METADATA_NOTE = 'inngest/metadata';
/** Of the metadata of one operation (inngest/inngest: pkg/tracing/metadata, 64 KiB an item). */
const MAX_METADATA_BYTES = 256 * 1_024;

/** Notes that belong to an operation. Most have none. */
export function notesOf(opcode: Opcode): Op[] {
  const notes: Op[] = [];
  const input = optionOf(opcode, 'input');
  if (Array.isArray(input) ? input.length > 0 : input !== undefined && input !== null) {
    const data = canonicalJson({ input, key: opcode.id });
    if (data.length <= MAX_STEP_OUTPUT) notes.push({ op: 'note', name: INPUT_NOTE, data });
  }
  if (Array.isArray(opcode.metadata) && opcode.metadata.length > 0) {
    const data = canonicalJson({ key: opcode.id, metadata: opcode.metadata as unknown });
    if (data.length <= MAX_METADATA_BYTES) notes.push({ op: 'note', name: METADATA_NOTE, data });
  }
  return notes;
}
