import { changeDocument, DOCUMENT_IDS_KEPT, type DocumentPatch } from '../model/document.ts';
import { EngineError } from '../model/errors.ts';
import { NEVER_MS } from '../model/limits.ts';
import type { JsonText } from '../model/payload.ts';
import type { Kernel, RunHandle } from './kernel.ts';

/** Collection of the documents' records; an id is the run's and the document's name. */
const DOCUMENTS = '$document';
/** Name of the entry that tells those who watch the run. */
export const DOCUMENT_NOTE = '$document';

interface Stored {
  data: JsonText;
  /** Ids of the newest patches. */
  ids: string[];
  seq: number;
}

/** Changes a document of the run, or of the other run that the patch names, also after its end. Throws 'payload-too-large'. */
export function patchDocument(k: Kernel, reporting: RunHandle, patch: DocumentPatch): void {
  const handle = patch.run === undefined ? reporting : k.findNamed(patch.run);
  if (!handle) return;
  const run = handle.state.head.id;
  const before = load(k, run, patch.document);
  if (before?.ids.includes(patch.id)) return;
  const document = JSON.parse(before?.data ?? patch.initial ?? '{}');
  const data = JSON.stringify(changeDocument(document, patch.changes));
  if (data.length > patch.maxBytes || new TextEncoder().encode(data).length > patch.maxBytes)
    throw new EngineError('payload-too-large', `the document "${patch.document}" exceeds ${patch.maxBytes} bytes`);
  // The history tells that it has changed, not what: that would be kept for each change.
  const { seq } = k.append(handle, { kind: 'note', name: DOCUMENT_NOTE }, patch.document);
  const ids = [...(before?.ids ?? []), patch.id].slice(-DOCUMENT_IDS_KEPT);
  k.records.put(DOCUMENTS, `${run}/${patch.document}`, JSON.stringify({ data, ids, seq } satisfies Stored), NEVER_MS);
}

export function documentOf(k: Kernel, run: string, document: string): { data: JsonText; seq: number } | null {
  const stored = load(k, run, document);
  return stored && { data: stored.data, seq: stored.seq };
}

/** With its run. */
export function dropDocuments(k: Kernel, run: string): void {
  for (const { id } of k.records.from(DOCUMENTS, `${run}/`)) k.records.delete(DOCUMENTS, id);
}

function load(k: Kernel, run: string, document: string): Stored | null {
  const record = k.records.get(DOCUMENTS, `${run}/${document}`);
  return record && (JSON.parse(record.data) as Stored);
}
