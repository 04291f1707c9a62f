// Names of the web platform that @types/node declares as values only. Node has them; code shared with the Worker uses them.
type CryptoKey = import('node:crypto').webcrypto.CryptoKey;
