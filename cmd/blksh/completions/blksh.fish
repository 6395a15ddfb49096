# Completion for blksh(1), computed from its table of commands.

# The image, and the command behind it, as far as they are typed.
function __blksh_operands
    set -l value no
    set -l found
    for word in (commandline -opc)[2..-1]
        if test $value = yes
            set value no
            continue
        end
        switch $word
            case '--*=*'
            case --object -c --cmd -f --format -i --aio -t --cache -d --discard -T --trace --undo --color --script --dialect --completion
                set value yes
            case '-*'
            case '*'
                set -a found $word
                test (count $found) = 2; and break
        end
    end
    string join -- \n $found
end

function __blksh_after_image
    test (count (__blksh_operands)) = 1
end

# Whether the command is one of the words; without words, whether there is one.
function __blksh_in
    set -l found (__blksh_operands)
    test (count $found) = 2; or return 1
    test (count $argv) = 0; or contains -- $found[2] $argv
end

complete -c blksh -n 'not __blksh_in' -l object -x -d 'define an object, such as a secret that an image needs'
complete -c blksh -n 'not __blksh_in' -l image-opts -d 'the file is described by key=value,... and not by a name'
complete -c blksh -n 'not __blksh_in' -s c -l cmd -x -a 'abort aio_cancel aio_discard aio_flush aio_list aio_read aio_wait aio_write alloc amend bench bitmap break capabilities check close commit compare copy create discard edit exports find flush help images info iszero length luks map measure merge multiwrite next open quit read readv rebase remove_break reopen resize resume serve show sigraise sleep snapshot source sum truncate undo use verify_job verify_read verify_write version view wait_break wire write writev zone_append zone_close zone_finish zone_open zone_report zone_reset' -d 'run this command; may be repeated'
complete -c blksh -n 'not __blksh_in' -s f -l format -x -a 'luks qcow2 raw vdi' -d 'do not guess the format of the file'
complete -c blksh -n 'not __blksh_in' -s r -l read-only -d 'open without permission to write'
complete -c blksh -n 'not __blksh_in' -s s -l snapshot -d 'writes go to a temporary overlay'
complete -c blksh -n 'not __blksh_in' -s n -l nocache -d 'bypass the page cache, as -t none'
complete -c blksh -n 'not __blksh_in' -s C -l copy-on-read -d 'copy what is read from a backing file'
complete -c blksh -n 'not __blksh_in' -s m -l misalign -d 'use buffers that begin 16 bytes behind a page'
complete -c blksh -n 'not __blksh_in' -s k -l native-aio -d 'as -i native'
complete -c blksh -n 'not __blksh_in' -s i -l aio -x -a 'threads native io_uring' -d 'how requests are made'
complete -c blksh -n 'not __blksh_in' -s t -l cache -x -a 'none writeback writethrough directsync unsafe' -d 'cache mode'
complete -c blksh -n 'not __blksh_in' -s d -l discard -x -a 'ignore unmap' -d 'whether discards are passed on'
complete -c blksh -n 'not __blksh_in' -s T -l trace -x -d '[[enable=]PATTERN][,events=FILE][,file=FILE]'
complete -c blksh -n 'not __blksh_in' -s U -l force-share -d 'share the image with programs that write it'
complete -c blksh -n 'not __blksh_in' -s h -l help -d 'show this and leave'
complete -c blksh -n 'not __blksh_in' -s V -l version -d 'show the version and leave'
complete -c blksh -n 'not __blksh_in' -s w -l write -d 'write to block devices, which are only read otherwise'
complete -c blksh -n 'not __blksh_in' -l in-use -d 'write to what others use as well, such as a mounted device'
complete -c blksh -n 'not __blksh_in' -l allow-backing-device -d 'let the image name a device as what it stands on'
complete -c blksh -n 'not __blksh_in' -l share -d 'as -U: what others write may be opened, and they may write'
complete -c blksh -n 'not __blksh_in' -l undo -r -F -d 'note there what is changed, so that \'undo FILE\' puts it back'
complete -c blksh -n 'not __blksh_in' -l strict -d 'refuse writes that are not made of whole blocks, as with -n'
complete -c blksh -n 'not __blksh_in' -l rmw -d 'take such writes: read, change and write whole blocks'
complete -c blksh -n 'not __blksh_in' -l no-rc -d 'at a prompt, do not read the settings of ~/.config/blksh/rc'
complete -c blksh -n 'not __blksh_in' -l yes -d 'do not ask before a device is changed'
complete -c blksh -n 'not __blksh_in' -l json -d 'an object for each event, a line each, and nothing else'
complete -c blksh -n 'not __blksh_in' -l color -x -a 'auto always never' -d 'paint what is shown'
complete -c blksh -n 'not __blksh_in' -l script -r -F -d 'run the commands of a file, - for the standard input'
complete -c blksh -n 'not __blksh_in' -l keep-going -d 'do not stop at the first command that fails'
complete -c blksh -n 'not __blksh_in' -l deterministic -d 'tell no times and rates, and draw the same numbers in each run'
complete -c blksh -n 'not __blksh_in' -l dialect -x -a 'native qemu qemu-7.2 qemu-2.4' -d 'how to speak'
complete -c blksh -n 'not __blksh_in' -l step -d 'a command ends when every request stands still'
complete -c blksh -n 'not __blksh_in' -l completion -x -a 'bash fish zsh' -d 'print a script that completes words'
complete -c blksh -n 'not __blksh_in' -l licenses -d 'print the notices of what the program is made of'

complete -c blksh -n '__blksh_after_image' -f -a abort -d 'simulate a program crash using abort(3)'
complete -c blksh -n '__blksh_after_image' -f -a aio_cancel -d 'gives up a request in the background'
complete -c blksh -n '__blksh_after_image' -f -a aio_discard -d 'asynchronously discards a number of bytes'
complete -c blksh -n '__blksh_after_image' -f -a aio_flush -d 'completes all outstanding aio requests'
complete -c blksh -n '__blksh_after_image' -f -a aio_list -d 'lists the requests in the background'
complete -c blksh -n '__blksh_after_image' -f -a aio_read -d 'asynchronously reads a number of bytes'
complete -c blksh -n '__blksh_after_image' -f -a aio_wait -d 'waits for a request in the background'
complete -c blksh -n '__blksh_after_image' -f -a aio_write -d 'asynchronously writes a number of bytes'
complete -c blksh -n '__blksh_after_image' -f -a alloc -d 'counts the allocated bytes of a range'
complete -c blksh -n '__blksh_after_image' -f -a amend -d 'changes what the image was created with'
complete -c blksh -n '__blksh_after_image' -f -a bench -d 'puts the image under load and measures requests, bandwidth, latency and CPU time'
complete -c blksh -n '__blksh_after_image' -f -a bitmap -d 'lists and changes dirty bitmaps inside an image'
complete -c blksh -n '__blksh_after_image' -f -a break -d 'sets a breakpoint on event and tags the stopped request as tag'
complete -c blksh -n '__blksh_after_image' -f -a capabilities -d 'lists what this program can do'
complete -c blksh -n '__blksh_after_image' -f -a check -d 'checks the metadata of an image'
complete -c blksh -n '__blksh_after_image' -f -a close -d 'close the current open file'
complete -c blksh -n '__blksh_after_image' -f -a commit -d 'brings what an overlay holds into its backing file'
complete -c blksh -n '__blksh_after_image' -f -a compare -d 'compares the image with another'
complete -c blksh -n '__blksh_after_image' -f -a copy -d 'copies an image into another one of any format'
complete -c blksh -n '__blksh_after_image' -f -a create -d 'makes an image file'
complete -c blksh -n '__blksh_after_image' -f -a discard -d 'discards a number of bytes at a specified offset'
complete -c blksh -n '__blksh_after_image' -f -a edit -d 'shows bytes on the whole screen, to be changed there'
complete -c blksh -n '__blksh_after_image' -f -a exports -d 'lists the exports of an NBD server'
complete -c blksh -n '__blksh_after_image' -f -a find -d 'looks for bytes and shows where they are'
complete -c blksh -n '__blksh_after_image' -f -a flush -d 'flush all in-core file state to disk'
complete -c blksh -n '__blksh_after_image' -f -a help -d 'help for one or all commands'
complete -c blksh -n '__blksh_after_image' -f -a images -d 'lists the open images'
complete -c blksh -n '__blksh_after_image' -f -a info -d 'prints information about the current file'
complete -c blksh -n '__blksh_after_image' -f -a iszero -d 'says whether a range holds nothing but zeroes, and where it does not'
complete -c blksh -n '__blksh_after_image' -f -a length -d 'gets the length of the current file'
complete -c blksh -n '__blksh_after_image' -f -a luks -d 'lists, adds or removes the passphrases of an encrypted image'
complete -c blksh -n '__blksh_after_image' -f -a map -d 'prints the allocated areas of a file'
complete -c blksh -n '__blksh_after_image' -f -a measure -d 'says how large the file of a new image would be'
complete -c blksh -n '__blksh_after_image' -f -a merge -d 'adds up what shards said with --json'
complete -c blksh -n '__blksh_after_image' -f -a multiwrite -d 'issues multiple write requests at once'
complete -c blksh -n '__blksh_after_image' -f -a next -d 'goes on behind the last match of find'
complete -c blksh -n '__blksh_after_image' -f -a open -d 'open the file specified by path'
complete -c blksh -n '__blksh_after_image' -f -a quit -d 'exit the program'
complete -c blksh -n '__blksh_after_image' -f -a read -d 'reads a number of bytes at a specified offset'
complete -c blksh -n '__blksh_after_image' -f -a readv -d 'reads a number of bytes at a specified offset'
complete -c blksh -n '__blksh_after_image' -f -a rebase -d 'gives an overlay another backing file'
complete -c blksh -n '__blksh_after_image' -f -a remove_break -d 'remove a breakpoint by tag'
complete -c blksh -n '__blksh_after_image' -f -a reopen -d 'reopens an image with new options'
complete -c blksh -n '__blksh_after_image' -f -a resize -d 'makes the image longer or shorter'
complete -c blksh -n '__blksh_after_image' -f -a resume -d 'resumes the request tagged as tag'
complete -c blksh -n '__blksh_after_image' -f -a serve -d 'serves images to NBD clients'
complete -c blksh -n '__blksh_after_image' -f -a show -d 'decodes what lies on the disk, field by field'
complete -c blksh -n '__blksh_after_image' -f -a sigraise -d 'raises a signal'
complete -c blksh -n '__blksh_after_image' -f -a sleep -d 'waits for the given value in milliseconds'
complete -c blksh -n '__blksh_after_image' -f -a snapshot -d 'lists, makes, applies or deletes snapshots inside an image'
complete -c blksh -n '__blksh_after_image' -f -a source -d 'runs the commands of a file'
complete -c blksh -n '__blksh_after_image' -f -a sum -d 'computes the checksum of a range'
complete -c blksh -n '__blksh_after_image' -f -a truncate -d 'truncates the current file at the given offset'
complete -c blksh -n '__blksh_after_image' -f -a undo -d 'puts back what a disk held before it was changed'
complete -c blksh -n '__blksh_after_image' -f -a use -d 'makes another image the current one'
complete -c blksh -n '__blksh_after_image' -f -a verify_job -d 'runs the verification jobs of a file in the form of fio\'s job files'
complete -c blksh -n '__blksh_after_image' -f -a verify_read -d 'checks blocks that tell whether they are intact, and says what happened to those that are not'
complete -c blksh -n '__blksh_after_image' -f -a verify_write -d 'fills a range with blocks that tell whether they are intact'
complete -c blksh -n '__blksh_after_image' -f -a version -d 'shows which program this is'
complete -c blksh -n '__blksh_after_image' -f -a view -d 'shows bytes on the whole screen, and changes nothing'
complete -c blksh -n '__blksh_after_image' -f -a wait_break -d 'waits for the suspension of a request'
complete -c blksh -n '__blksh_after_image' -f -a wire -d 'sends any request to an NBD server and shows the answer'
complete -c blksh -n '__blksh_after_image' -f -a write -d 'writes a number of bytes at a specified offset'
complete -c blksh -n '__blksh_after_image' -f -a writev -d 'writes a number of bytes at a specified offset'
complete -c blksh -n '__blksh_after_image' -f -a zone_append -d 'append write a number of bytes at a specified offset'
complete -c blksh -n '__blksh_after_image' -f -a zone_close -d 'close a range of zones in zone block device'
complete -c blksh -n '__blksh_after_image' -f -a zone_finish -d 'finish a range of zones in zone block device'
complete -c blksh -n '__blksh_after_image' -f -a zone_open -d 'explicit open a range of zones in zone block device'
complete -c blksh -n '__blksh_after_image' -f -a zone_report -d 'report zone information'
complete -c blksh -n '__blksh_after_image' -f -a zone_reset -d 'reset a zone write pointer in zone block device'

complete -c blksh -n '__blksh_in abort' -f

complete -c blksh -n '__blksh_in aio_cancel' -f

complete -c blksh -n '__blksh_in aio_discard' -f
complete -c blksh -n '__blksh_in aio_discard' -s C -l csv -d 'report as comma separated values'
complete -c blksh -n '__blksh_in aio_discard' -s q -l quiet -d 'report failures only'

complete -c blksh -n '__blksh_in aio_flush' -f

complete -c blksh -n '__blksh_in aio_list' -f

complete -c blksh -n '__blksh_in aio_read' -f
complete -c blksh -n '__blksh_in aio_read' -s C -l csv -d 'report as comma separated values'
complete -c blksh -n '__blksh_in aio_read' -s i -l invalid -d 'count an invalid request instead of making one'
complete -c blksh -n '__blksh_in aio_read' -s P -l pattern -x -d 'check what was read'
complete -c blksh -n '__blksh_in aio_read' -s q -l quiet -d 'report failures only'
complete -c blksh -n '__blksh_in aio_read' -s r -d 'accepted for scripts that register buffers'
complete -c blksh -n '__blksh_in aio_read' -s v -l verbose -d 'show the bytes'

complete -c blksh -n '__blksh_in aio_wait' -f

complete -c blksh -n '__blksh_in aio_write' -f
complete -c blksh -n '__blksh_in aio_write' -s C -l csv -d 'report as comma separated values'
complete -c blksh -n '__blksh_in aio_write' -s f -l fua -d 'the data is on stable storage afterwards'
complete -c blksh -n '__blksh_in aio_write' -s i -l invalid -d 'count an invalid request instead of making one'
complete -c blksh -n '__blksh_in aio_write' -s P -l pattern -x -d 'what to write; without it every byte is 0xcd'
complete -c blksh -n '__blksh_in aio_write' -s q -l quiet -d 'report failures only'
complete -c blksh -n '__blksh_in aio_write' -s r -d 'accepted for scripts that register buffers'
complete -c blksh -n '__blksh_in aio_write' -s u -l unmap -d 'with -z: the space may be given back'
complete -c blksh -n '__blksh_in aio_write' -s z -l zero -d 'write zeroes'

complete -c blksh -n '__blksh_in alloc a' -f

complete -c blksh -n '__blksh_in amend' -f
complete -c blksh -n '__blksh_in amend' -s o -l options -x -d 'key=value,... of the format'

complete -c blksh -n '__blksh_in bench' -f -a 'read write randread randwrite'
complete -c blksh -n '__blksh_in bench' -s b -l block -x -d 'bytes of a request; without it 4k'
complete -c blksh -n '__blksh_in bench' -s d -l depth -x -d 'requests under way; without it 32'
complete -c blksh -n '__blksh_in bench' -s n -l requests -x -d 'end after so many requests'
complete -c blksh -n '__blksh_in bench' -s P -l pattern -x -d 'what is written; without it random data'
complete -c blksh -n '__blksh_in bench' -s t -l time -x -d 'end after so much time; without -n and -t 5'
complete -c blksh -n '__blksh_in bench' -l flush -d 'end with a flush, whose time counts'
complete -c blksh -n '__blksh_in bench' -l report -r -F -d 'write a page of HTML about what was done and found'
complete -c blksh -n '__blksh_in bench' -l runs -x -d 'make the load N times and tell the spread'
complete -c blksh -n '__blksh_in bench' -l seed -x -d 'loads of one seed go to the same places; without it 1'

complete -c blksh -n '__blksh_in bitmap' -f -a 'list add remove clear enable disable merge'
complete -c blksh -n '__blksh_in bitmap' -s g -l granularity -x -d 'bytes that one bit stands for, a power of two'
complete -c blksh -n '__blksh_in bitmap' -l disabled -d 'do not record changes yet'
complete -c blksh -n '__blksh_in bitmap' -l from -r -F -d 'the image that the source is in'
complete -c blksh -n '__blksh_in bitmap' -l from-format -x -a 'luks qcow2 raw vdi' -d 'its format, which is guessed otherwise'

complete -c blksh -n '__blksh_in break' -f -a 'l1_update l1_grow_alloc_table l1_grow_write_table l1_grow_activate_table l2_load l2_update l2_update_compressed l2_alloc_cow_read l2_alloc_write read_aio read_backing_aio read_compressed write_aio write_compressed vmstate_load vmstate_save cow_read cow_write reftable_load reftable_grow reftable_update refblock_load refblock_update refblock_update_part refblock_alloc refblock_alloc_hookup refblock_alloc_write refblock_alloc_write_blocks refblock_alloc_write_table refblock_alloc_switch_table cluster_alloc cluster_alloc_bytes cluster_alloc_space cluster_free flush_to_os flush_to_disk pwritev_rmw_head pwritev_rmw_after_head pwritev_rmw_tail pwritev_rmw_after_tail pwritev pwritev_zero pwritev_done empty_image_prepare l1_shrink_write_table l1_shrink_free_l2_clusters cor_write none'

complete -c blksh -n '__blksh_in capabilities' -f
complete -c blksh -n '__blksh_in capabilities' -l json -d 'as one object, whatever the other output is'

complete -c blksh -n '__blksh_in check' -r -F
complete -c blksh -n '__blksh_in check' -s f -l format -x -a 'luks qcow2 raw vdi' -d 'format of the file, which is guessed otherwise'
complete -c blksh -n '__blksh_in check' -s r -l repair -x -a 'leaks all' -d 'give back what nothing refers to, or repair all that can be'
complete -c blksh -n '__blksh_in check' -s U -l force-share -d 'share the file with programs that write it'
complete -c blksh -n '__blksh_in check' -l draw -d 'draw the clusters of the file (qcow2)'
complete -c blksh -n '__blksh_in check' -l force -d 'with --svg: replace the file that is there'
complete -c blksh -n '__blksh_in check' -l report -r -F -d 'write a page of HTML about what was done and found'
complete -c blksh -n '__blksh_in check' -l svg -r -F -d 'draw it into a new file, an SVG'

complete -c blksh -n '__blksh_in close c' -f

complete -c blksh -n '__blksh_in commit' -r -F
complete -c blksh -n '__blksh_in commit' -s d -l keep -d 'do not empty the overlay'
complete -c blksh -n '__blksh_in commit' -s f -l format -x -a 'luks qcow2 raw vdi' -d 'format of the overlay, which is guessed otherwise'
complete -c blksh -n '__blksh_in commit' -l allow-backing-device -d 'also into a device that the overlay names'

complete -c blksh -n '__blksh_in compare' -r -F
complete -c blksh -n '__blksh_in compare' -s f -l format -x -a 'luks qcow2 raw vdi' -d 'format of the other image, which is guessed otherwise'
complete -c blksh -n '__blksh_in compare' -s s -l strict -d 'images of different lengths differ'
complete -c blksh -n '__blksh_in compare' -s U -l force-share -d 'share the other image with programs that write it'
complete -c blksh -n '__blksh_in compare' -l all -d 'list all ranges that differ, not only the first ones'
complete -c blksh -n '__blksh_in compare' -l draw -d 'draw where they differ'
complete -c blksh -n '__blksh_in compare' -l force -d 'with --svg: replace the file that is there'
complete -c blksh -n '__blksh_in compare' -l report -r -F -d 'write a page of HTML about what was done and found'
complete -c blksh -n '__blksh_in compare' -l resume -x -d 'go on where a run was stopped, as it said'
complete -c blksh -n '__blksh_in compare' -l shard -x -a 'slurm k8s env' -d 'only part K of N, as \'help shards\' says: K/N'
complete -c blksh -n '__blksh_in compare' -l svg -r -F -d 'draw it into a new file, an SVG'

complete -c blksh -n '__blksh_in copy' -r -F
complete -c blksh -n '__blksh_in copy' -s b -l backing -r -F -d 'with --bitmap: what holds the rest, relative to the target'
complete -c blksh -n '__blksh_in copy' -s c -l compress -d 'store the data compressed'
complete -c blksh -n '__blksh_in copy' -s F -l backing-format -x -a 'luks qcow2 raw vdi' -d 'format of that'
complete -c blksh -n '__blksh_in copy' -s f -l format -x -a 'luks qcow2 raw vdi' -d 'format of the image; without it what the name ends in, or raw'
complete -c blksh -n '__blksh_in copy' -s n -l existing -d 'make no new image, write into one that is there'
complete -c blksh -n '__blksh_in copy' -s o -l options -x -d 'key=value,... of the format'
complete -c blksh -n '__blksh_in copy' -s U -l force-share -d 'share the source with programs that write it'
complete -c blksh -n '__blksh_in copy' -l bitmap -x -d 'copy only what is dirty in this bitmap of the source'
complete -c blksh -n '__blksh_in copy' -l force -d 'also over a file that is there, or onto a device; never if that is in use'
complete -c blksh -n '__blksh_in copy' -l journal -r -F -d 'note there how far the copy is'
complete -c blksh -n '__blksh_in copy' -l resume -d 'go on with a copy that was stopped'
complete -c blksh -n '__blksh_in copy' -l shard -x -a 'slurm k8s env' -d 'only part K of N, as \'help shards\' says: K/N'
complete -c blksh -n '__blksh_in copy' -l source-format -x -a 'luks qcow2 raw vdi' -d 'format of the source, which is guessed otherwise'
complete -c blksh -n '__blksh_in copy' -l verify -d 'read the copy back and compare it with the source'

complete -c blksh -n '__blksh_in create' -r -F
complete -c blksh -n '__blksh_in create' -s b -l backing -r -F -d 'backing file, relative to the image'
complete -c blksh -n '__blksh_in create' -s F -l backing-format -x -a 'luks qcow2 raw vdi' -d 'format of the backing file'
complete -c blksh -n '__blksh_in create' -s f -l format -x -a 'luks qcow2 raw vdi' -d 'format of the image; without it what the name ends in, or raw'
complete -c blksh -n '__blksh_in create' -s o -l options -x -d 'key=value,... of the format'
complete -c blksh -n '__blksh_in create' -l force -d 'also over a file that is there, or onto a device; never if that is in use'

complete -c blksh -n '__blksh_in discard d' -f
complete -c blksh -n '__blksh_in discard d' -s C -l csv -d 'report as comma separated values'
complete -c blksh -n '__blksh_in discard d' -s q -l quiet -d 'report failures only'
complete -c blksh -n '__blksh_in discard d' -l all -d 'with --verify: list all ranges that are not zero'
complete -c blksh -n '__blksh_in discard d' -l verify -d 'read everything back, and say how much of it still has storage'

complete -c blksh -n '__blksh_in edit' -f
complete -c blksh -n '__blksh_in edit' -l undo -r -F -d 'keep there what undo puts back'

complete -c blksh -n '__blksh_in exports' -f

complete -c blksh -n '__blksh_in find' -f
complete -c blksh -n '__blksh_in find' -l base64 -x -d 'look for bytes, written in base64'
complete -c blksh -n '__blksh_in find' -l context -x -d 'show so many lines around each match'
complete -c blksh -n '__blksh_in find' -l hex -x -d 'look for bytes, written as pairs of hex digits'
complete -c blksh -n '__blksh_in find' -l max -x -d 'stop after N matches; without it after 1000'
complete -c blksh -n '__blksh_in find' -l regex -x -d 'look for what a regular expression matches'
complete -c blksh -n '__blksh_in find' -l shard -x -a 'slurm k8s env' -d 'only part K of N, as \'help shards\' says: K/N'
complete -c blksh -n '__blksh_in find' -l text -x -d 'look for the bytes of a text'

complete -c blksh -n '__blksh_in flush f' -f

complete -c blksh -n '__blksh_in help' -f -a 'abort aio_cancel aio_discard aio_flush aio_list aio_read aio_wait aio_write alloc amend bench bitmap break capabilities check close commit compare copy create discard edit exports find flush help images info iszero length luks map measure merge multiwrite next open quit read readv rebase remove_break reopen resize resume serve show sigraise sleep snapshot source sum truncate undo use verify_job verify_read verify_write version view wait_break wire write writev zone_append zone_close zone_finish zone_open zone_report zone_reset dialects engines json keys names nbd patterns quoting reports safety scripts settings shards sizes status'

complete -c blksh -n '__blksh_in images' -f

complete -c blksh -n '__blksh_in info i' -f

complete -c blksh -n '__blksh_in iszero' -f
complete -c blksh -n '__blksh_in iszero' -l all -d 'list all ranges that are not zero, not only the first ones'
complete -c blksh -n '__blksh_in iszero' -l draw -d 'draw where it is not zero'
complete -c blksh -n '__blksh_in iszero' -l first -d 'stop at the first byte that is not zero'
complete -c blksh -n '__blksh_in iszero' -l force -d 'with --svg: replace the file that is there'
complete -c blksh -n '__blksh_in iszero' -l report -r -F -d 'write a page of HTML about what was done and found'
complete -c blksh -n '__blksh_in iszero' -l resume -x -d 'go on where a run was stopped, as it said'
complete -c blksh -n '__blksh_in iszero' -l shard -x -a 'slurm k8s env' -d 'only part K of N, as \'help shards\' says: K/N'
complete -c blksh -n '__blksh_in iszero' -l svg -r -F -d 'draw it into a new file, an SVG'

complete -c blksh -n '__blksh_in length l' -f

complete -c blksh -n '__blksh_in luks' -f -a 'slots add remove'
complete -c blksh -n '__blksh_in luks' -s n -l slot -x -d 'the number of the slot (add: the first free one)'
complete -c blksh -n '__blksh_in luks' -s s -l secret -x -d 'the passphrase is in this secret'
complete -c blksh -n '__blksh_in luks' -s t -l iter-time -x -d 'how long opening by it is to take (add); without it 2000'

complete -c blksh -n '__blksh_in map' -f
complete -c blksh -n '__blksh_in map' -l bitmap -x -d 'show what is dirty in this bitmap'
complete -c blksh -n '__blksh_in map' -l draw -d 'draw rows of cells instead of runs'
complete -c blksh -n '__blksh_in map' -l force -d 'with --svg: replace the file that is there'
complete -c blksh -n '__blksh_in map' -l report -r -F -d 'write a page of HTML about what was done and found'
complete -c blksh -n '__blksh_in map' -l svg -r -F -d 'draw it into a new file, an SVG'
complete -c blksh -n '__blksh_in map' -l totals -d 'show sums instead of runs'

complete -c blksh -n '__blksh_in measure' -r -F
complete -c blksh -n '__blksh_in measure' -s b -l backing -d 'the new image has a backing file'
complete -c blksh -n '__blksh_in measure' -s f -l format -x -a 'luks qcow2 raw vdi' -d 'format of the new image, raw otherwise'
complete -c blksh -n '__blksh_in measure' -s o -l options -x -d 'key=value,... of the format'
complete -c blksh -n '__blksh_in measure' -s U -l force-share -d 'share the source with programs that write it'
complete -c blksh -n '__blksh_in measure' -l size -x -d 'length of the new image, which is empty'
complete -c blksh -n '__blksh_in measure' -l source-format -x -a 'luks qcow2 raw vdi' -d 'format of the source, which is guessed otherwise'

complete -c blksh -n '__blksh_in merge' -f
complete -c blksh -n '__blksh_in merge' -l all -d 'list all ranges that are bad or differ, not only the first ones'

complete -c blksh -n '__blksh_in multiwrite' -f
complete -c blksh -n '__blksh_in multiwrite' -s C -l csv -d 'report as comma separated values'
complete -c blksh -n '__blksh_in multiwrite' -s P -l pattern -x -d 'the byte of the first request; without it 0xcd'
complete -c blksh -n '__blksh_in multiwrite' -s q -l quiet -d 'report failures only'

complete -c blksh -n '__blksh_in next' -f
complete -c blksh -n '__blksh_in next' -l max -x -d 'stop after N matches; without it after one'

complete -c blksh -n '__blksh_in open o' -r -F
complete -c blksh -n '__blksh_in open o' -s a -l as -x -d 'open it beside other images, under this name'
complete -c blksh -n '__blksh_in open o' -s C -l copy-on-read -d 'copy what is read from a backing file into the image'
complete -c blksh -n '__blksh_in open o' -s d -l discard -x -a 'ignore unmap' -d 'discard mode'
complete -c blksh -n '__blksh_in open o' -s f -l format -x -a 'luks qcow2 raw vdi' -d 'format of the image, which is guessed otherwise'
complete -c blksh -n '__blksh_in open o' -s g -d 'accepted for old scripts'
complete -c blksh -n '__blksh_in open o' -s i -l aio -x -a 'threads native io_uring' -d 'how requests are made'
complete -c blksh -n '__blksh_in open o' -s k -l native-aio -d 'as -i native'
complete -c blksh -n '__blksh_in open o' -s n -l nocache -d 'bypass the page cache, as -t none'
complete -c blksh -n '__blksh_in open o' -s o -l options -x -d 'key=value,... for the image and, below file., for what it lies in'
complete -c blksh -n '__blksh_in open o' -s r -l read-only -d 'open without permission to write'
complete -c blksh -n '__blksh_in open o' -s s -l overlay -d 'writes go to a temporary overlay'
complete -c blksh -n '__blksh_in open o' -s t -l cache -x -a 'none writeback writethrough directsync unsafe' -d 'cache mode'
complete -c blksh -n '__blksh_in open o' -s U -l force-share -d 'share the image with programs that write it'
complete -c blksh -n '__blksh_in open o' -s w -l write -d 'write to block devices, which are only read otherwise'
complete -c blksh -n '__blksh_in open o' -l allow-backing-device -d 'let the image name a device as what it stands on, to be read'
complete -c blksh -n '__blksh_in open o' -l in-use -d 'write to what others use as well, such as a mounted device'
complete -c blksh -n '__blksh_in open o' -l rmw -d 'take such writes, with -n too'
complete -c blksh -n '__blksh_in open o' -l snapshot -x -d 'open a snapshot inside the image, by its id or name, to be read'
complete -c blksh -n '__blksh_in open o' -l strict -d 'refuse writes that are not made of whole blocks'
complete -c blksh -n '__blksh_in open o' -l undo -r -F -d 'note there what the image held before it is changed'

complete -c blksh -n '__blksh_in quit q' -f

complete -c blksh -n '__blksh_in read r' -f
complete -c blksh -n '__blksh_in read r' -s b -l vmstate -d 'read the area for machine state behind the guest\'s data'
complete -c blksh -n '__blksh_in read r' -s C -l csv -d 'report as comma separated values'
complete -c blksh -n '__blksh_in read r' -s l -l length -x -d 'with -P: check only so many bytes'
complete -c blksh -n '__blksh_in read r' -s o -l output -r -F -d 'save the bytes in a file; - is standard output, to which nothing else goes'
complete -c blksh -n '__blksh_in read r' -s P -l pattern -x -d 'check what was read'
complete -c blksh -n '__blksh_in read r' -s p -d 'accepted for old scripts'
complete -c blksh -n '__blksh_in read r' -s q -l quiet -d 'report failures only'
complete -c blksh -n '__blksh_in read r' -s r -d 'accepted for scripts that register buffers'
complete -c blksh -n '__blksh_in read r' -s s -l start -x -d 'with -P: start checking so many bytes in'
complete -c blksh -n '__blksh_in read r' -s v -l verbose -d 'show the bytes'
complete -c blksh -n '__blksh_in read r' -l all -d 'with -P: list all ranges that are wrong'
complete -c blksh -n '__blksh_in read r' -l draw -d 'draw where it is wrong, with -P'
complete -c blksh -n '__blksh_in read r' -l endian -x -a 'little big' -d 'with --words: which byte of a number comes first'
complete -c blksh -n '__blksh_in read r' -l fold -d 'show lines that repeat the one before as a single *'
complete -c blksh -n '__blksh_in read r' -l force -d 'with -o: also onto a device that is not in use'
complete -c blksh -n '__blksh_in read r' -l style -x -a 'qemu xxd c' -d 'how bytes are shown'
complete -c blksh -n '__blksh_in read r' -l svg -r -F -d 'draw it into a new file, an SVG'
complete -c blksh -n '__blksh_in read r' -l words -x -a '2 4 8' -d 'show numbers of so many bytes'

complete -c blksh -n '__blksh_in readv' -f
complete -c blksh -n '__blksh_in readv' -s C -l csv -d 'report as comma separated values'
complete -c blksh -n '__blksh_in readv' -s P -l pattern -x -d 'check what was read'
complete -c blksh -n '__blksh_in readv' -s q -l quiet -d 'report failures only'
complete -c blksh -n '__blksh_in readv' -s r -d 'accepted for scripts that register buffers'
complete -c blksh -n '__blksh_in readv' -s v -l verbose -d 'show the bytes'

complete -c blksh -n '__blksh_in rebase' -r -F
complete -c blksh -n '__blksh_in rebase' -s b -l backing -r -F -d 'the new backing file; empty for none'
complete -c blksh -n '__blksh_in rebase' -s F -l backing-format -x -a 'luks qcow2 raw vdi' -d 'its format'
complete -c blksh -n '__blksh_in rebase' -s f -l format -x -a 'luks qcow2 raw vdi' -d 'format of the overlay, which is guessed otherwise'
complete -c blksh -n '__blksh_in rebase' -s u -l unsafe -d 'change the name only'
complete -c blksh -n '__blksh_in rebase' -l allow-backing-device -d 'the overlay may name a device as what it stands on'

complete -c blksh -n '__blksh_in remove_break' -f

complete -c blksh -n '__blksh_in reopen' -f
complete -c blksh -n '__blksh_in reopen' -s c -l cache -x -a 'none writeback writethrough directsync unsafe' -d 'cache mode'
complete -c blksh -n '__blksh_in reopen' -s o -l options -x -d 'key=value,... for the image and, below file., for what it lies in'
complete -c blksh -n '__blksh_in reopen' -s r -l read-only -d 'without permission to write'
complete -c blksh -n '__blksh_in reopen' -s w -l read-write -d 'with permission to write'
complete -c blksh -n '__blksh_in reopen' -l in-use -d 'write to what others use as well, such as a mounted device'

complete -c blksh -n '__blksh_in resize' -f
complete -c blksh -n '__blksh_in resize' -s m -l preallocation -x -a 'off metadata falloc full' -d 'what to do with space that is added'
complete -c blksh -n '__blksh_in resize' -l shrink -d 'lose what lies behind the new end'

complete -c blksh -n '__blksh_in resume' -f

complete -c blksh -n '__blksh_in serve' -f
complete -c blksh -n '__blksh_in serve' -s f -l format -x -a 'luks qcow2 raw vdi' -d 'format of the files, which is guessed otherwise'
complete -c blksh -n '__blksh_in serve' -s r -l read-only -d 'let nobody write'
complete -c blksh -n '__blksh_in serve' -s U -l force-share -d 'with -r: share the files with programs that write them'
complete -c blksh -n '__blksh_in serve' -s v -l verbose -d 'say who comes and goes'
complete -c blksh -n '__blksh_in serve' -s w -l write-device -d 'let clients write to devices that are named'
complete -c blksh -n '__blksh_in serve' -l bind -x -d 'address of this machine, 127.0.0.1 otherwise'
complete -c blksh -n '__blksh_in serve' -l bitmap -x -d 'tell what is dirty in this bitmap, of each image that has it'
complete -c blksh -n '__blksh_in serve' -l export -x -d 'name of the next export'
complete -c blksh -n '__blksh_in serve' -l in-use -d 'let them write also to what others use, such as a mounted device'
complete -c blksh -n '__blksh_in serve' -l once -d 'end when the last client has left'
complete -c blksh -n '__blksh_in serve' -l port -x -d 'on that TCP port; 0 takes a free one'
complete -c blksh -n '__blksh_in serve' -l tls -r -F -d 'encrypt, with the certificates in DIR'
complete -c blksh -n '__blksh_in serve' -l unix -r -F -d 'on a socket of that name, which must not exist'

complete -c blksh -n '__blksh_in show' -f -a 'mbr gpt qcow2 luks ext4 xfs'

complete -c blksh -n '__blksh_in sigraise' -f

complete -c blksh -n '__blksh_in sleep' -f

complete -c blksh -n '__blksh_in snapshot' -f -a 'list create apply delete'

complete -c blksh -n '__blksh_in source' -r -F

complete -c blksh -n '__blksh_in sum' -f
complete -c blksh -n '__blksh_in sum' -s a -l algorithm -x -a 'sha256 sha512 sha384 sha3-256 sha1 md5 crc32 crc32c blksum' -d 'which checksum'
complete -c blksh -n '__blksh_in sum' -l shard -x -a 'slurm k8s env' -d 'only part K of N, as \'help shards\' says: K/N'
complete -c blksh -n '__blksh_in sum' -l tree -d 'hash in a tree, with sha256, sha384 or sha512'

complete -c blksh -n '__blksh_in truncate t' -f
complete -c blksh -n '__blksh_in truncate t' -s m -l preallocation -x -a 'off metadata falloc full' -d 'what to do with space that is added'
complete -c blksh -n '__blksh_in truncate t' -l shrink -d 'lose what lies behind the new end'

complete -c blksh -n '__blksh_in undo' -r -F
complete -c blksh -n '__blksh_in undo' -l check -d 'look whether it can be undone, and change nothing'
complete -c blksh -n '__blksh_in undo' -l force -d 'put back what was there, whatever others wrote'

complete -c blksh -n '__blksh_in use' -f

complete -c blksh -n '__blksh_in verify_job' -r -F
complete -c blksh -n '__blksh_in verify_job' -l all -d 'list all ranges of bad blocks'
complete -c blksh -n '__blksh_in verify_job' -l dump -r -F -d 'put bad blocks there, what they should be, the difference'
complete -c blksh -n '__blksh_in verify_job' -l fio -x -a '2.2 3.33 3.40 3.42' -d 'which fio makes such blocks'
complete -c blksh -n '__blksh_in verify_job' -l merge -x -d 'send neighbouring requests as one of up to SIZE bytes'
complete -c blksh -n '__blksh_in verify_job' -l read -d 'only verify; nothing is written'
complete -c blksh -n '__blksh_in verify_job' -l report -r -F -d 'write a page of HTML about what was done and found'
complete -c blksh -n '__blksh_in verify_job' -l resume -x -d 'go on where the only job was stopped in that phase'
complete -c blksh -n '__blksh_in verify_job' -l section -x -d 'only the jobs of this name'
complete -c blksh -n '__blksh_in verify_job' -l shard -x -a 'slurm k8s env' -d 'only part K of N, as \'help shards\' says: K/N'
complete -c blksh -n '__blksh_in verify_job' -l write -d 'only write'

complete -c blksh -n '__blksh_in verify_read' -f
complete -c blksh -n '__blksh_in verify_read' -s b -l block -x -d 'size of blocks, or two sizes as in 4k-64k; usually 4k'
complete -c blksh -n '__blksh_in verify_read' -s d -l depth -x -d 'requests under way'
complete -c blksh -n '__blksh_in verify_read' -s o -l option -x -d 'any other option of a fio job, such as norandommap=1'
complete -c blksh -n '__blksh_in verify_read' -s P -l pattern -x -d 'content of blocks, in place of random data'
complete -c blksh -n '__blksh_in verify_read' -s t -l type -x -a 'any crc16 crc32 crc32c crc32c-intel crc64 crc7 md5 meta null pattern pattern_hdr sha1 sha256 sha3-224 sha3-256 sha3-384 sha3-512 sha512 xxhash' -d 'the checksum of blocks'
complete -c blksh -n '__blksh_in verify_read' -l acknowledged -d 'with --journal: writes count that no flush followed'
complete -c blksh -n '__blksh_in verify_read' -l all -d 'list all ranges of bad blocks'
complete -c blksh -n '__blksh_in verify_read' -l content -d 'make the content of all blocks again and compare it'
complete -c blksh -n '__blksh_in verify_read' -l draw -d 'draw what is damaged'
complete -c blksh -n '__blksh_in verify_read' -l dump -r -F -d 'put bad blocks there, what they should be, the difference'
complete -c blksh -n '__blksh_in verify_read' -l exact -d 'they must be those of the very job that the flags tell, of verify_write without them'
complete -c blksh -n '__blksh_in verify_read' -l fatal -d 'stop at the first bad block'
complete -c blksh -n '__blksh_in verify_read' -l fio -x -a '2.2 3.33 3.40 3.42' -d 'which fio has such blocks'
complete -c blksh -n '__blksh_in verify_read' -l force -d 'with --svg: replace the file that is there'
complete -c blksh -n '__blksh_in verify_read' -l generation -x -d 'a number in each header that tells old blocks from new'
complete -c blksh -n '__blksh_in verify_read' -l header-offset -x -d 'where in its block the header lies; usually 0'
complete -c blksh -n '__blksh_in verify_read' -l holes -d 'blocks of zeroes were never written and are fine'
complete -c blksh -n '__blksh_in verify_read' -l interval -x -d 'one header each so many bytes, and not one a block'
complete -c blksh -n '__blksh_in verify_read' -l journal -r -F -d 'what verify_write noted there says what must be there'
complete -c blksh -n '__blksh_in verify_read' -l merge -x -d 'send neighbouring requests as one of up to SIZE bytes'
complete -c blksh -n '__blksh_in verify_read' -l order -x -a 'seq random' -d 'which block comes next, random as fio draws it, each once'
complete -c blksh -n '__blksh_in verify_read' -l pattern-interval -x -d 'where the pattern begins anew'
complete -c blksh -n '__blksh_in verify_read' -l report -r -F -d 'write a page of HTML about what was done and found'
complete -c blksh -n '__blksh_in verify_read' -l resume -x -d 'go on where a run was stopped, as it said'
complete -c blksh -n '__blksh_in verify_read' -l seed -x -d 'what content and order are made from; usually 137'
complete -c blksh -n '__blksh_in verify_read' -l shard -x -a 'slurm k8s env' -d 'only part K of N, as \'help shards\' says: K/N'
complete -c blksh -n '__blksh_in verify_read' -l state -r -F -d 'as --exact, for a job that fio\'s state file tells of'
complete -c blksh -n '__blksh_in verify_read' -l svg -r -F -d 'draw it into a new file, an SVG'

complete -c blksh -n '__blksh_in verify_write' -f
complete -c blksh -n '__blksh_in verify_write' -s b -l block -x -d 'size of blocks, or two sizes as in 4k-64k; usually 4k'
complete -c blksh -n '__blksh_in verify_write' -s d -l depth -x -d 'requests under way'
complete -c blksh -n '__blksh_in verify_write' -s o -l option -x -d 'any other option of a fio job, such as norandommap=1'
complete -c blksh -n '__blksh_in verify_write' -s P -l pattern -x -d 'content of blocks, in place of random data'
complete -c blksh -n '__blksh_in verify_write' -s t -l type -x -a 'any crc16 crc32 crc32c crc32c-intel crc64 crc7 md5 meta null pattern pattern_hdr sha1 sha256 sha3-224 sha3-256 sha3-384 sha3-512 sha512 xxhash' -d 'the checksum of blocks'
complete -c blksh -n '__blksh_in verify_write' -l all -d 'list all ranges of bad blocks'
complete -c blksh -n '__blksh_in verify_write' -l check -d 'read everything back afterwards, as verify_read does'
complete -c blksh -n '__blksh_in verify_write' -l dump -r -F -d 'put bad blocks there, what they should be, the difference'
complete -c blksh -n '__blksh_in verify_write' -l fio -x -a '2.2 3.33 3.40 3.42' -d 'which fio has such blocks'
complete -c blksh -n '__blksh_in verify_write' -l generation -x -d 'a number in each header that tells old blocks from new'
complete -c blksh -n '__blksh_in verify_write' -l header-offset -x -d 'where in its block the header lies; usually 0'
complete -c blksh -n '__blksh_in verify_write' -l interval -x -d 'one header each so many bytes, and not one a block'
complete -c blksh -n '__blksh_in verify_write' -l journal -r -F -d 'note there what was begun, written and flushed'
complete -c blksh -n '__blksh_in verify_write' -l merge -x -d 'send neighbouring requests as one of up to SIZE bytes'
complete -c blksh -n '__blksh_in verify_write' -l order -x -a 'seq random' -d 'which block comes next, random as fio draws it, each once'
complete -c blksh -n '__blksh_in verify_write' -l pattern-interval -x -d 'where the pattern begins anew'
complete -c blksh -n '__blksh_in verify_write' -l report -r -F -d 'write a page of HTML about what was done and found'
complete -c blksh -n '__blksh_in verify_write' -l resume -x -d 'go on where a run was stopped, as it said'
complete -c blksh -n '__blksh_in verify_write' -l seed -x -d 'what content and order are made from; usually 137'
complete -c blksh -n '__blksh_in verify_write' -l shard -x -a 'slurm k8s env' -d 'only part K of N, as \'help shards\' says: K/N'
complete -c blksh -n '__blksh_in verify_write' -l state -r -F -d 'write there how far it came, as verify_state_save'

complete -c blksh -n '__blksh_in version' -f
complete -c blksh -n '__blksh_in version' -l json -d 'as one object, whatever the other output is'

complete -c blksh -n '__blksh_in view' -f

complete -c blksh -n '__blksh_in wait_break' -f

complete -c blksh -n '__blksh_in wire' -f
complete -c blksh -n '__blksh_in wire' -l context -x -d 'meta context to agree on'
complete -c blksh -n '__blksh_in wire' -l form -x -a 'simple structured extended' -d 'what to agree on, the best that the server knows otherwise'
complete -c blksh -n '__blksh_in wire' -l timeout -x -d 'how long to wait for an answer, 10 otherwise'
complete -c blksh -n '__blksh_in wire' -l together -d 'send all requests before any is answered'

complete -c blksh -n '__blksh_in write w' -f
complete -c blksh -n '__blksh_in write w' -s b -l vmstate -d 'write the area for machine state behind the guest\'s data'
complete -c blksh -n '__blksh_in write w' -s C -l csv -d 'report as comma separated values'
complete -c blksh -n '__blksh_in write w' -s c -l compress -d 'store the data compressed'
complete -c blksh -n '__blksh_in write w' -s f -l fua -d 'the data is on stable storage afterwards'
complete -c blksh -n '__blksh_in write w' -s n -l no-fallback -d 'with -z: fail instead of writing zeroes byte by byte'
complete -c blksh -n '__blksh_in write w' -s P -l pattern -x -d 'what to write; without it every byte is 0xcd'
complete -c blksh -n '__blksh_in write w' -s p -d 'accepted for old scripts'
complete -c blksh -n '__blksh_in write w' -s q -l quiet -d 'report failures only'
complete -c blksh -n '__blksh_in write w' -s r -d 'accepted for scripts that register buffers'
complete -c blksh -n '__blksh_in write w' -s s -l source -r -F -d 'write the contents of a file; - is standard input'
complete -c blksh -n '__blksh_in write w' -s u -l unmap -d 'with -z: the space may be given back'
complete -c blksh -n '__blksh_in write w' -s z -l zero -d 'write zeroes'
complete -c blksh -n '__blksh_in write w' -l all -d 'with --verify: list all that is wrong'
complete -c blksh -n '__blksh_in write w' -l base64 -x -d 'write bytes, written in base64'
complete -c blksh -n '__blksh_in write w' -l hex -x -d 'write bytes, written as pairs of hex digits'
complete -c blksh -n '__blksh_in write w' -l text -x -d 'write the bytes of a text'
complete -c blksh -n '__blksh_in write w' -l verify -d 'read back what was written, which cannot be done with -s'

complete -c blksh -n '__blksh_in writev' -f
complete -c blksh -n '__blksh_in writev' -s C -l csv -d 'report as comma separated values'
complete -c blksh -n '__blksh_in writev' -s f -l fua -d 'the data is on stable storage afterwards'
complete -c blksh -n '__blksh_in writev' -s P -l pattern -x -d 'what to write; without it every byte is 0xcd'
complete -c blksh -n '__blksh_in writev' -s q -l quiet -d 'report failures only'
complete -c blksh -n '__blksh_in writev' -s r -d 'accepted for scripts that register buffers'

complete -c blksh -n '__blksh_in zone_append zap' -f
complete -c blksh -n '__blksh_in zone_append zap' -s p -l print -d 'show the sector that was written'

complete -c blksh -n '__blksh_in zone_close zc' -f

complete -c blksh -n '__blksh_in zone_finish zf' -f

complete -c blksh -n '__blksh_in zone_open zo' -f

complete -c blksh -n '__blksh_in zone_report zrp' -f

complete -c blksh -n '__blksh_in zone_reset zrs' -f
