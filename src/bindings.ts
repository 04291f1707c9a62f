import type { Cell } from './cell/cell.ts';
import type { Shelf } from './blobs/shelf.ts';
import type { Channel } from './channel/channel.ts';
import type { Dispatcher } from './dispatcher/dispatcher.ts';

/** What the platform, or the launcher's generated configuration, binds to the Worker. */
export interface Bindings {
  CELL: DurableObjectNamespace<Cell>;
  CHANNEL: DurableObjectNamespace<Channel>;
  SHELF: DurableObjectNamespace<Shelf>;
  /** Files go there instead of to the shelves, where it is bound. */
  BLOBS?: R2Bucket;
  /** Makes the cells' calls. Not bound: they make them themselves (cell/dispatches.ts). */
  DISPATCHER?: Service<typeof Dispatcher>;
  INGEST: Queue<IngestMessage>;
  DEAD_LETTER: Queue<unknown>;
  REPOINT_MODE?: string;
  REPOINT_VERSION?: string;
  REPOINT_URL?: string;
  [name: string]: unknown;
}

/** Commands that were accepted while their cell could not be reached. They are idempotent, so a second delivery changes nothing. */
export interface IngestMessage {
  cell: string;
  commands: import('../core/model/command.ts').Command[];
}
