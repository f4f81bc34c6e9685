// @tus/server as it is documented, over a directory: PORT DIRECTORY MAX_BYTES EXPIRY_MS; 0 is none.
import { FileStore } from '@tus/file-store'
import { Server } from '@tus/server'

const [port, directory, maxBytes, expiryMs] = process.argv.slice(2)
const server = new Server({
  path: '/files',
  maxSize: Number(maxBytes) || undefined,
  respectForwardedHeaders: true,
  datastore: new FileStore({ directory, expirationPeriodInMilliseconds: Number(expiryMs) }),
})
server.listen({ host: '127.0.0.1', port: Number(port) })
