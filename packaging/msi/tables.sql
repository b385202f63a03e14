-- What wixl cannot say (0.101 drops it, some of it in silence): one statement a line, for msibuild.

-- The settings: 256 for 64 bits, 128 never overwritten, 16 never removed.
UPDATE `Component` SET `Attributes` = 400 WHERE `Component` = 'config'

-- SYSTEM and Administrators alone, nothing from above: what nodecheck asks of the folder (windows_state.py).
CREATE TABLE `MsiLockPermissionsEx` (`MsiLockPermissionsEx` CHAR(72) NOT NULL, `LockObject` CHAR(72) NOT NULL, `Table` CHAR(32) NOT NULL, `SDDLText` CHAR(0) NOT NULL, `Condition` CHAR(255) PRIMARY KEY `MsiLockPermissionsEx`)
INSERT INTO `MsiLockPermissionsEx` (`MsiLockPermissionsEx`, `LockObject`, `Table`, `SDDLText`) VALUES ('data', 'data', 'CreateFolder', 'D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)')

-- The machine's PATH (*): the folder is added behind ([~];), and taken out with the program (-).
CREATE TABLE `Environment` (`Environment` CHAR(72) NOT NULL, `Name` CHAR(255) NOT NULL LOCALIZABLE, `Value` CHAR(255) LOCALIZABLE, `Component_` CHAR(72) NOT NULL PRIMARY KEY `Environment`)
INSERT INTO `Environment` (`Environment`, `Name`, `Value`, `Component_`) VALUES ('path', '=-*PATH', '[~];[program]', 'task')
INSERT INTO `InstallExecuteSequence` (`Action`, `Sequence`) VALUES ('RemoveEnvironmentStrings', 3300)
INSERT INTO `InstallExecuteSequence` (`Action`, `Sequence`) VALUES ('WriteEnvironmentStrings', 5200)

-- The event source: the event log wants REG_EXPAND_SZ (#%), and wixl ends the key with a backslash.
UPDATE `Registry` SET `Value` = '#%%SystemRoot%\System32\EventCreate.exe' WHERE `Name` = 'EventMessageFile'
UPDATE `Registry` SET `Key` = 'SYSTEM\CurrentControlSet\Services\EventLog\Application\nodecheck' WHERE `Component_` = 'source'

-- Another build of the same version is replaced, too (512: VersionMax inclusive); only newer ones refuse.
DELETE FROM `Upgrade` WHERE `ActionProperty` = 'WIX_UPGRADE_DETECTED'
INSERT INTO `Upgrade` (`UpgradeCode`, `VersionMax`, `Attributes`, `ActionProperty`) VALUES ('{01A8E68F-EA6D-48E4-8009-916C0FC48D42}', '@VERSION@', 513, 'WIX_UPGRADE_DETECTED')
-- Inside the transaction: an upgrade that fails puts the old version back.
UPDATE `InstallExecuteSequence` SET `Sequence` = 1501 WHERE `Action` = 'RemoveExistingProducts'

-- The scheduled task. 3106 is an executable (34), deferred (1024), as SYSTEM (2048); 64: whatever its exit code;
-- 256: at rollback. EndTask also ends a run, which would hold the files, in the version that an upgrade removes.
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('EndTask', 3170, 'program', '[System64Folder]schtasks.exe /end /tn nodecheck')
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('DeleteTask', 3170, 'program', '[System64Folder]schtasks.exe /delete /f /tn nodecheck')
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('UndoTask', 3426, 'program', '[System64Folder]schtasks.exe /delete /f /tn nodecheck')
-- A task in which something is disabled is the operator's: it is left as it is. The query's XML is in no language.
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('CreateTask', 3106, 'program', '[System64Folder]cmd.exe /d /c [System64Folder]schtasks.exe /query /tn nodecheck /xml | [System64Folder]findstr.exe Enabled.false || [System64Folder]schtasks.exe /create /f /tn nodecheck /xml "[#task.xml]"')
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('EndTask', 'Installed', 1510)
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('DeleteTask', 'REMOVE="ALL" AND NOT UPGRADINGPRODUCTCODE', 1520)
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('UndoTask', 'NOT Installed AND NOT WIX_UPGRADE_DETECTED', 5890)
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('CreateTask', 'NOT REMOVE', 5900)
