"""Sealing every stored secret anew with the newest key."""

from sqlalchemy import select

from oneinbox.api.db.database import Database
from oneinbox.api.db.tables import Credential, PhoneNumber, Tool
from oneinbox.api.db.vault import Vault


async def reseal_everything(database: Database, vault: Vault) -> int:
    """Seal every secret of every organisation with the newest key, all or none; returns how many there were.

    Raises ``SealedError`` where one does not open: then nothing is changed.
    """
    count = 0
    async with database.write() as rows:
        for credential in (await rows.execute(select(Credential).with_for_update())).scalars():
            bound = ("credentials", credential.org_id, credential.id, credential.provider)
            credential.sealed = vault.seal(vault.open(credential.sealed, *bound), *bound)
            count += 1
        for tool in (await rows.execute(select(Tool).with_for_update())).scalars():
            if tool.sealed_headers is not None:
                bound = ("tools", tool.org_id, tool.id)
                tool.sealed_headers = vault.seal(vault.open(tool.sealed_headers, *bound), *bound)
                count += 1
        for number in (await rows.execute(select(PhoneNumber).with_for_update())).scalars():
            if number.sealed_password is not None:
                bound = ("phone_numbers", number.org_id, number.id)
                number.sealed_password = vault.seal(vault.open(number.sealed_password, *bound), *bound)
                count += 1
    return count
